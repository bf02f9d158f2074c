"""The layer of "零基础入门深度学习(6) - 长短时记忆网络(LSTM)" by hanbingtao, with a backward pass that is right.

The names are the write-up's: Wfh, Wfx and bf of the forget gate, i, o and c for the others, columns for vectors. The
numbers are those of the equations in ``manual/DERIVATION.md``. Run as a program, it checks the gradient of every
parameter as the write-up checks that of Wfh, and learns to add binary numbers:

    python lstm_layer.py
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: The gates in the write-up's order; c is the candidate.
GATES = ("f", "i", "o", "c")


def sigmoid(z: Array) -> Array:
    """Return σ(z)."""
    return 1 / (1 + np.exp(-z))


class LstmLayer:
    """An LSTM layer that is run step by step.

    Args:
        input_width: D.
        state_width: H.
        learning_rate: of ``update``.
        rng: draws the weights.
        size: weights are uniform in ± this.
    """

    def __init__(
        self, input_width: int, state_width: int, learning_rate: float, rng: np.random.Generator, size: float = 1e-4
    ):
        self.learning_rate = learning_rate
        self.state_width = state_width
        self.parameters: dict[str, Array] = {}
        for gate in GATES:
            self.parameters[f"W{gate}h"] = rng.uniform(-size, size, (state_width, state_width))
            self.parameters[f"W{gate}x"] = rng.uniform(-size, size, (state_width, input_width))
            self.parameters[f"b{gate}"] = np.zeros((state_width, 1))
        self.gradients: dict[str, Array] = {}
        self.reset_state()

    def reset_state(self) -> None:
        """Go back to before the first step. What is kept of each step has the state before it in the first place."""
        zero = np.zeros((self.state_width, 1))
        self.x_list: list[Array] = [zero]
        self.h_list, self.c_list = [zero], [zero]
        self.gate_list: list[dict[str, Array]] = [{}]

    def forward(self, x: Array) -> Array:
        """Run one step with x (D, 1), and return h (H, 1)."""
        w, h_prev, gates = self.parameters, self.h_list[-1], {}
        for gate in GATES:
            z = w[f"W{gate}h"] @ h_prev + w[f"W{gate}x"] @ x + w[f"b{gate}"]  # (L1)
            gates[gate] = np.tanh(z) if gate == "c" else sigmoid(z)  # (L2) to (L5)
        c = gates["f"] * self.c_list[-1] + gates["i"] * gates["c"]  # (L6)
        h = gates["o"] * np.tanh(c)  # (L7)
        self.x_list.append(x)
        self.gate_list.append(gates)
        self.c_list.append(c)
        self.h_list.append(h)
        return h

    def backward(self, delta_h: dict[int, Array]) -> None:
        """Compute ``gradients`` from the gradient of the loss with respect to each h.

        Args:
            delta_h: (H, 1) each, by step from 1; a step that is not in it has no error of its own.
        """
        self.gradients = {name: np.zeros_like(array) for name, array in self.parameters.items()}
        delta_h_prev, delta_c_prev = np.zeros((2, self.state_width, 1))
        for k in range(len(self.h_list) - 1, 0, -1):
            delta_h_k = delta_h_prev + delta_h.get(k, 0)  # (L8)
            delta_h_prev, delta_c_prev = self._backward_step(k, delta_h_k, delta_c_prev)

    def _backward_step(self, k: int, delta_h: Array, delta_c_next: Array) -> tuple[Array, Array]:
        """Add step k's share to ``gradients``, and return what is carried to the step before."""
        gates = self.gate_list[k]
        f, i, o, c_tilde = (gates[gate] for gate in GATES)
        tanh_c = np.tanh(self.c_list[k])
        delta_c = delta_c_next + delta_h * o * (1 - tanh_c**2)  # (L9)
        deltas = {
            "f": delta_c * self.c_list[k - 1] * f * (1 - f),  # (L11)
            "i": delta_c * c_tilde * i * (1 - i),  # (L10)
            "o": delta_h * tanh_c * o * (1 - o),  # (L13)
            "c": delta_c * i * (1 - c_tilde**2),  # (L12)
        }
        delta_h_prev = np.zeros_like(delta_h)
        for gate, delta in deltas.items():
            delta_h_prev += self.parameters[f"W{gate}h"].T @ delta  # (L15)
            self.gradients[f"W{gate}x"] += delta @ self.x_list[k].T  # (L17)
            self.gradients[f"W{gate}h"] += delta @ self.h_list[k - 1].T  # (L18)
            self.gradients[f"b{gate}"] += delta  # (L19)
        return delta_h_prev, delta_c * f  # (L14)

    def update(self) -> None:
        """Take a step of gradient descent on all twelve parameters."""
        for name, gradient in self.gradients.items():
            self.parameters[name] -= self.learning_rate * gradient


def gradient_check(seed: int = 0, epsilon: float = 1e-3) -> float:
    """Compare every gradient with a numeric one, as the write-up does for Wfh, over three steps.

    Returns:
        the largest difference, relative to the largest element of its gradient.
    """
    layer = LstmLayer(3, 2, 1e-3, np.random.default_rng(seed), size=1.0)
    x = [np.array([[1.0], [2.0], [3.0]]) + t for t in range(3)]

    def loss() -> float:
        layer.reset_state()
        return float(sum(layer.forward(x_t).sum() for x_t in x))

    loss()
    layer.backward({k: np.ones((2, 1)) for k in (1, 2, 3)})
    worst = 0.0
    for name, array in layer.parameters.items():
        print(name)
        for index in np.ndindex(array.shape):
            before, losses = array[index], []
            for moved in (before + epsilon, before - epsilon):
                array[index] = moved
                losses.append(loss())
            array[index] = before
            expected, actual = (losses[0] - losses[1]) / (2 * epsilon), layer.gradients[name][index]
            print(f"weights({index[0]},{index[1]}): expected - actual {expected:.4e} - {actual:.4e}")
            worst = max(worst, abs(expected - actual) / np.abs(layer.gradients[name]).max())
    return worst


def learn_to_add(problems: int = 5000, bits: int = 8, seed: int = 0) -> float:
    """Learn to add binary numbers, lowest bit first.

    Returns:
        the share of the last 100 sums that were right to the last bit.
    """
    rng = np.random.default_rng(seed)
    layer, w_out = LstmLayer(2, 16, 0.1, rng, size=1.0), rng.uniform(-1, 1, (16, 1))
    right = []
    for number in range(1, problems + 1):
        a, b = (int(n) for n in rng.integers(0, 2 ** (bits - 1), 2))
        y = [a + b >> t & 1 for t in range(bits)]
        layer.reset_state()
        h = [layer.forward(np.array([[float(a >> t & 1)], [float(b >> t & 1)]])) for t in range(bits)]
        p = [float(sigmoid(w_out.T @ h_t)[0, 0]) for h_t in h]
        layer.backward({t + 1: (p[t] - y[t]) * w_out for t in range(bits)})
        layer.update()
        for t in range(bits):
            w_out = w_out - layer.learning_rate * (p[t] - y[t]) * h[t]
        right.append([p_t > 0.5 for p_t in p] == [bit == 1 for bit in y])
        if number % 1000 == 0:
            print(f"{number}: {np.mean(right[-100:]):.0%} of the last 100 sums right")
    return float(np.mean(right[-100:]))


if __name__ == "__main__":
    print(f"largest relative difference: {gradient_check():.1e}")
    learn_to_add()
