import numpy as np
import pytest
import torch

import manual
from compare.bridge import HandDerived

T, B, D, H = 4, 3, 2, 5
LAYERS = {
    "lstm": (manual.LSTM, {}),
    "lstm, stacked both ways": (manual.LSTM, {"num_layers": 2, "bidirectional": True}),
    "lstm projected": (manual.LSTM, {"proj_size": 3}),
    "lstm without biases": (manual.LSTM, {"bias": False}),
    "gru": (manual.GRU, {}),
    "gru, reset before": (manual.GRU, {"reset_after": False}),
    "rnn tanh": (manual.RNN, {}),
    "rnn sigmoid": (manual.RNN, {"nonlinearity": "sigmoid"}),
}


def build(name):
    kind, options = LAYERS[name]
    return kind(D, H, rng=np.random.default_rng(0), **options)


def draw(layer, B=B):
    generator = torch.Generator().manual_seed(0)
    K = len(layer.sweeps)
    x, *state = (
        torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in [(T, B, D), *((K, B, size) for size in layer.state_sizes.values())]
    )
    return x, tuple(state)


def returned(output, last):
    return output, *(last if isinstance(last, tuple) else (last,))


@pytest.mark.slow
@pytest.mark.parametrize("name, lengths", [*((name, [2, 4, 1]) for name in LAYERS), ("lstm", None), ("gru", None)])
def test_gradcheck_passes(name, lengths):
    module = HandDerived(build(name))
    x, state = draw(module.layer)

    names = [name for name, _ in module.named_parameters()]

    def call(x, *rest):
        hx, parameters = rest[: len(state)], dict(zip(names, rest[len(state) :]))
        arguments = (x, hx if len(hx) > 1 else hx[0], lengths)
        return returned(*torch.func.functional_call(module, parameters, arguments))

    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]
    assert torch.autograd.gradcheck(call, (x, *state, *parameters), fast_mode="stacked" in name)


@pytest.mark.slow
def test_gradcheck_fails_on_a_wrong_derivation(monkeypatch):
    module = HandDerived(build("lstm"))
    (sweep,) = module.layer.sweeps
    backward = sweep.fast.backward

    def without_half(memory, d_output, d_state):
        d_x, d_initial, gradients = backward(memory, d_output, d_state)
        return d_x, (d_initial[0], 0.5 * d_initial[1]), gradients

    monkeypatch.setattr(sweep.fast, "backward", without_half)
    x, state = draw(module.layer)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(lambda *a: returned(*module(a[0], a[1:])), (x, *state))


def test_a_state_left_out_is_zero():
    module = HandDerived(build("gru"))
    x, _ = draw(module.layer)
    assert torch.equal(module(x)[0], module(x, torch.zeros(1, B, H, dtype=torch.float64))[0])


def test_dropout_masks_reach_the_layer():
    layer = manual.RNN(D, H, num_layers=2, dropout=0.5, rng=np.random.default_rng(0))
    module = HandDerived(layer)
    x, _ = draw(layer)
    masks = torch.tensor(layer.draw_masks(T, B, np.random.default_rng(1)))
    trained, _ = module(x, masks=masks)
    assert torch.equal(trained, module(x, masks=masks)[0])
    assert not torch.allclose(trained, module.eval()(x)[0])
    with pytest.raises(ValueError, match="masks: expected an array of shape"):
        module.train()(x)


def test_tensors_of_another_device_are_copied_and_that_is_said_once(monkeypatch):
    """Without a GPU: tensors say that they are on one, and what asks for a tensor there gets it on the CPU."""
    module = HandDerived(build("lstm"))
    x, state = draw(module.layer)
    expected = module(x, state)[0]
    expected.sum().backward()
    gradient, x.grad = x.grad, None
    elsewhere, made, copied = torch.device("cuda", 1), [], []
    tensor, cpu = torch.tensor, torch.Tensor.cpu

    def make(array, device=None):
        made.append(device)
        return tensor(array)

    def copy(self):
        copied.append(self.shape)
        return cpu(self)

    monkeypatch.setattr(torch.Tensor, "device", property(lambda self: elsewhere))
    monkeypatch.setattr(torch.Tensor, "cpu", copy)
    monkeypatch.setattr(torch, "tensor", make)
    with pytest.warns(UserWarning, match="computes on the CPU; tensors are copied from cuda:1") as said:
        output = module(x, state)[0]
        module(x, state)
    assert len(said) == 1
    forward = len(copied)
    output.sum().backward()
    assert forward == 2 * (3 + len(module.layer.parameters)) and len(copied) == forward + 3  # d_output, d_h_n, d_c_n
    assert torch.equal(output, expected) and torch.equal(x.grad, gradient)
    assert set(made) == {elsewhere}
