"""The layers as functions of their weights, for tools that differentiate functions: JAX and HIPS autograd."""

from typing import Any

from compare.benchmark.case import LEARNING_RATE, Case, Numbers, Result, Work, named


def step(xp: Any, cell: str, weights: dict[str, Any], from_x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """One time step with the array module ``xp``, given W_ih x and what is added to it of the biases, (B, G H)."""
    h = state[0]
    H = h.shape[1]

    def sigmoid(z: Any) -> Any:
        return 0.5 + 0.5 * xp.tanh(0.5 * z)

    from_h = xp.dot(h, weights["weight_hh"].T)
    if cell == "LSTM":
        z = from_x + from_h
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = sigmoid(f) * state[1] + sigmoid(i) * xp.tanh(g)
        return sigmoid(o) * xp.tanh(c), c
    if cell == "GRU":
        from_h = from_h + weights["bias_hh"]
        r_z = sigmoid(from_x[:, : 2 * H] + from_h[:, : 2 * H])
        n = xp.tanh(from_x[:, 2 * H :] + r_z[:, :H] * from_h[:, 2 * H :])
        return (n + r_z[:, H:] * (h - n),)
    return (xp.tanh(from_x + from_h),)


def _from_x(xp: Any, cell: str, weights: dict[str, Any], x: Any) -> Any:
    """The input's share of the pre-activations, for all time steps in one product: (T, B, G H)."""
    bias = weights["bias_ih"] if cell == "GRU" else weights["bias_ih"] + weights["bias_hh"]
    return xp.dot(x, weights["weight_ih"].T) + bias


def _bce(xp: Any, z: Any, y: Any) -> Any:
    return xp.mean(xp.maximum(z, 0) - y * z + xp.log1p(xp.exp(-xp.abs(z))))


def with_jax(case: Case, given: Numbers) -> Work:
    """A scan, differentiated by ``value_and_grad``, compiled as a whole."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    device = jax.tree_util.tree_map(jnp.asarray, given)

    def forward(weights: Any, x: Any, state: Any) -> Any:
        def body(carry: Any, from_x: Any) -> Any:
            carry = step(jnp, case.cell, weights, from_x, carry)
            return carry, carry[0]

        last, output = jax.lax.scan(body, state, _from_x(jnp, case.cell, weights, x))
        return output, last

    if case.task == "step":
        zero = jnp.zeros((case.B, case.H), case.dtype)
        state = (zero, zero) if case.cell == "LSTM" else (zero,)

        def loss_of(parameters: Any) -> Any:
            output, _ = forward(parameters["recurrent"], device.x, state)
            logits = output @ parameters["readout"]["weight"].T + parameters["readout"]["bias"]
            return _bce(jnp, logits, device.d_output), logits

        def updated(parameters: Any, mean: Any, square: Any, k: Any) -> Any:
            (loss, logits), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
            tree = jax.tree_util.tree_map
            mean = tree(lambda m, g: m + 0.1 * (g - m), mean, gradients)
            square = tree(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
            rate, root = LEARNING_RATE / (1 - 0.9**k), (1 - 0.999**k) ** 0.5
            parameters = tree(lambda p, m, v: p - rate * m / (v**0.5 / root + 1e-8), parameters, mean, square)
            return parameters, mean, square, k + 1, loss, logits, gradients

        update = jax.jit(updated)
        parameters = {"recurrent": device.weights, "readout": device.readout}
        zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
        held: tuple[Any, ...] = (parameters, zeros, zeros, jnp.asarray(1.0, case.dtype))

        def train() -> Result:
            nonlocal held
            *kept, loss, logits, gradients = jax.block_until_ready(update(*held))
            held = tuple(kept)
            return Result({"loss": loss, "logits": logits}, _flat(gradients["recurrent"], gradients["readout"]))

        return train

    def weighed(weights: Any, x: Any, state: Any) -> Any:
        output, last = forward(weights, x, state)
        total = (output * device.d_output).sum() + sum((s * d).sum() for s, d in zip(last, device.d_state))
        return total, (output, last)

    both = jax.jit(jax.value_and_grad(weighed, argnums=(0, 1, 2), has_aux=True))

    def run() -> Result:
        (_, (output, last)), (gradients, d_x, d_first) = jax.block_until_ready(
            both(device.weights, device.x, device.state)
        )
        return named(output, last, d_x, d_first, {f"{n}_l0": g for n, g in gradients.items()})

    return run


def with_hips(case: Case, given: Numbers) -> Work:
    """A loop over NumPy operations that HIPS autograd traces and differentiates at each run."""
    import autograd.numpy as anp
    from autograd import make_vjp
    from autograd.builtins import tuple as traced_tuple

    import manual

    def forward(weights: Any, x: Any, state: Any) -> Any:
        from_x = _from_x(anp, case.cell, weights, x)
        outputs = []
        for t in range(case.T):
            state = step(anp, case.cell, weights, from_x[t], state)
            outputs.append(state[0])
        return anp.stack(outputs), state

    if case.task == "step":
        zero = anp.zeros((case.B, case.H), case.dtype)
        state = (zero, zero) if case.cell == "LSTM" else (zero,)
        names = list(given.weights)
        values = [a.copy() for a in [*given.weights.values(), *given.readout.values()]]
        optimizer = manual.Adam(dict(zip(_flat(given.weights, given.readout), values)), lr=LEARNING_RATE)

        def weighed(parameters: Any) -> Any:
            output, _ = forward(dict(zip(names, parameters)), given.x, state)
            logits = anp.dot(output, parameters[len(names)].T) + parameters[len(names) + 1]
            return traced_tuple((_bce(anp, logits, given.d_output), logits))

        d_loss = (anp.ones((), case.dtype), anp.zeros((case.T, case.B, 1), case.dtype))

        def train() -> Result:
            back, (loss, logits) = make_vjp(weighed)(tuple(values))
            gradients = dict(zip(optimizer.parameters, back(d_loss)))
            optimizer.step(gradients)
            return Result({"loss": loss, "logits": logits}, gradients)

        return train

    names = list(given.weights)

    def outputs_of(arguments: Any) -> Any:
        weights, rest = dict(zip(names, arguments[: len(names)])), arguments[len(names) :]
        output, last = forward(weights, rest[0], tuple(rest[1:]))
        return traced_tuple((output, *last))

    arguments = (*given.weights.values(), given.x, *given.state)
    incoming = (given.d_output, *given.d_state)

    def run() -> Result:
        back, (output, *last) = make_vjp(outputs_of)(arguments)
        gradients = back(incoming)
        d_x, *d_first = gradients[len(names) :]
        return named(output, last, d_x, d_first, {f"{n}_l0": g for n, g in zip(names, gradients)})

    return run


def _flat(recurrent: dict[str, Any], readout: dict[str, Any]) -> dict[str, Any]:
    """Gradients under a model's names."""
    return {f"recurrent.{n}_l0": a for n, a in recurrent.items()} | {f"readout.{n}": a for n, a in readout.items()}
