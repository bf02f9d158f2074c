"""ONNX models as torch exports them: read with the outputs of the module, or refused by name."""

import numpy as np
import pytest
import torch
from torch import nn

from compare.frameworks import files

pytest.importorskip("onnx")

T, B, D, H, O = 6, 2, 3, 5, 4
BOTH = {"bidirectional": True}


class Composed(nn.Module):
    """Modules by name, and what they compute together."""

    def __init__(self, compute, **modules):
        super().__init__()
        self.compute, self.own = compute, nn.ModuleDict(modules)

    def forward(self, x):
        return self.compute(self.own, x)


def exported(path, module, features=D, **options):
    torch.manual_seed(0)
    x = torch.randn(T, B, features)
    torch.onnx.export(module.eval(), (x,), path, dynamo=False, input_names=["x"], **options)
    return x


def outputs(model, x):
    """The outputs of a model of ``manual``: its logits, or the output of its layers."""
    return model.forward(x.numpy())[0]


def plain(m, x):
    return m["b"](m["a"](x)[0])


def ends_joined(m, x):
    h = m["a"](x)[1][0]
    return m["b"](torch.cat([h[-2], h[-1]], dim=1))


ONE, WIDE = {"a": nn.LSTM(D, H), "b": nn.Linear(H, O)}, nn.Linear(2 * H, O)

#: What a user's module computes, its modules, and the words that describe it here.
EXPORTED = {
    "lstm": (plain, ONE, "lstm, 1 layer from 3 to 5, readout to 4"),
    "gru, both directions": (plain, {"a": nn.GRU(D, H, 2, **BOTH), "b": WIDE}, "both directions, 2 layers"),
    "rnn without biases": (plain, {"a": nn.RNN(D, H, bias=False), "b": nn.Linear(H, O, bias=False)}, "rnn, 1 layer"),
    "relu": (plain, ONE | {"a": nn.RNN(D, H, nonlinearity="relu")}, "rnn, relu, 1 layer"),
    "batch first": (plain, ONE | {"a": nn.LSTM(D, H, 2, batch_first=True)}, "readout to 4, batch first"),
    "sigmoid": (lambda m, x: plain(m, x).sigmoid(), ONE, "4 with sigmoid"),
    "softmax": (lambda m, x: plain(m, x).softmax(-1), ONE, "4 with softmax"),
    "relu after it": (lambda m, x: plain(m, x).relu(), ONE | {"a": nn.GRU(D, H)}, "4 with relu"),
    "last step": (
        lambda m, x: m["b"](m["a"](x)[0][:, -1]),
        ONE | {"a": nn.LSTM(D, H, batch_first=True)},
        "4, of the final state alone, batch first",
    ),
    "final states": (ends_joined, {"a": nn.LSTM(D, H, 2, **BOTH), "b": WIDE}, "4, of the final state alone"),
    "dropout": (
        lambda m, x: m["b"](m["c"](m["a"](x)[0])),
        ONE | {"a": nn.LSTM(D, H, 2, dropout=0.5), "c": nn.Dropout()},
        "lstm, 2 layers from 3 to 5, readout to 4",
    ),
    "two operators for two directions": (
        lambda m, x: m["b"](torch.cat([m["a"](x)[0], m["c"](x.flip(0))[0].flip(0)], -1)),
        {"a": nn.LSTM(D, H), "b": WIDE, "c": nn.LSTM(D, H)},
        "lstm, both directions, 1 layer",
    ),
    "no readout": (lambda m, x: m["a"](x)[0], {"a": nn.GRU(D, H, 2)}, "gru, 2 layers from 3 to 5"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter that needs nothing but ONNX is deprecated
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("name", EXPORTED)
def test_a_model_that_torch_exported_has_its_outputs(tmp_path, name, free):
    compute, modules, words = EXPORTED[name]
    module = Composed(compute, **modules)
    x = exported(tmp_path / "m.onnx", module, dynamic_axes={"x": {0: "p", 1: "q"}} if free else None)
    reading = files.read(tmp_path / "m.onnx", "onnx")
    assert words in reading.network.title
    difference = outputs(reading.network.model(), x) - module(x).detach().numpy()
    assert np.abs(difference).max() < 1e-6
    if reading.proof.error is not None:  # where ONNX Runtime is installed
        assert reading.proof.error < 1e-5


SQUARE = {"a": nn.LSTM(H, H), "c": nn.LSTM(H, H)}
LINEAR = SQUARE | {"b": nn.Linear(H, H)}
TURNED = {"a": nn.LSTM(H, H, **BOTH), "b": nn.Linear(2 * H, H)}


def of(m, x):
    return m["a"](x)[0]


#: What a user's module computes, its modules, and the words of the error.
REFUSED = {
    "side by side": (lambda m, x: torch.cat([of(m, x), m["c"](x)[0]], -1), SQUARE, "got other elements of LSTM"),
    "a sum of two": (lambda m, x: of(m, x) + m["c"](x)[0], SQUARE, r"Add /Add, after LSTM .* and LSTM"),
    "decoder": (
        lambda m, x: m["c"](x, m["a"](x)[1])[0],
        SQUARE,
        "expected a caller's initial state, got elements of LSTM",
    ),
    "residual": (lambda m, x: x + of(m, x), SQUARE, r"Add /Add, after LSTM .*binary addition"),
    "tanh between": (lambda m, x: m["c"](of(m, x).tanh())[0], SQUARE, "Tanh /Tanh: expected tanh of the logits"),
    "linear between": (lambda m, x: m["c"](plain(m, x))[0], LINEAR, "expected to read the input or a recurrent"),
    "linear before": (
        lambda m, x: of(m, m["b"](x)),
        LINEAR,
        "MatMul .* a recurrent layer to read the input, got a product",
    ),
    "factor before": (lambda m, x: of(m, 2 * x), SQUARE, r"Mul /Mul, before LSTM .*binary multiplication"),
    "factor after": (lambda m, x: 2 * plain(m, x), LINEAR, "Mul /Mul, after Add"),
    "flipped": (lambda m, x: of(m, x.flip(0)).flip(0), SQUARE, "got backwards alone"),
    "flipped output": (lambda m, x: of(m, x).flip(0), SQUARE, "got other elements of LSTM"),
    "other order of units": (lambda m, x: m["b"](of(m, x).flip(-1)), LINEAR, "got others of its elements"),
    "part of the units": (lambda m, x: of(m, x)[..., 1:], SQUARE, "got other elements of LSTM"),
    "T and B exchanged": (lambda m, x: of(m, x).transpose(0, 1), SQUARE, "expected T and B in the order of the input"),
    "layer over the batch": (
        lambda m, x: m["c"](of(m, x).transpose(0, 1))[0],
        SQUARE,
        r"expected all of LSTM .* in another order",
    ),
    "two readouts": (lambda m, x: m["b"](plain(m, x)), LINEAR, "expected one readout, got another"),
    "two outputs": (lambda m, x: (of(m, x), plain(m, x)), LINEAR, "output .*: expected final states besides"),
    "softmax over time": (lambda m, x: plain(m, x).softmax(0), LINEAR, "Softmax .*over the logits of one step"),
    "clamp": (lambda m, x: plain(m, x).clamp(0, 1), LINEAR, "Clip /Clip, after"),
    "last step of both": (
        lambda m, x: m["b"](of(m, x)[-1]),
        TURNED,
        "at the last step, at which the backward direction has read one element",
    ),
    "forms": (lambda m, x: m["c"](of(m, x))[0], SQUARE | {"c": nn.GRU(H, H)}, "of one form, got lstm; gru"),
    "the input": (lambda m, x: x.transpose(0, 1), {}, "expected an LSTM, GRU or RNN operator of ONNX, got none"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_is_refused_by_name(tmp_path, name):
    compute, modules, words = REFUSED[name]
    exported(tmp_path / "m.onnx", Composed(compute, **modules), features=H)
    with pytest.raises(ValueError, match=words):
        files.load(tmp_path / "m.onnx", prove=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("axes", ["fixed", "named", "free"])
def test_states_that_are_inputs_and_outputs_are_the_callers(tmp_path, batch_first, axes):
    layer, h_0, c_0 = nn.LSTM(D, H, 2, batch_first=batch_first), torch.randn(2, B, H), torch.randn(2, B, H)
    x = torch.randn(B, T, D) if batch_first else torch.randn(T, B, D)
    batch = 0 if batch_first else 1
    named = {"named": {"x": {batch: "b"}, "h": {1: "b"}, "c": {1: "b"}}, "free": {"x": [0, 1], "h": [1], "c": [1]}}
    names = {"input_names": ["x", "h", "c"], "dynamic_axes": named.get(axes)}
    torch.onnx.export(layer, (x, (h_0, c_0)), tmp_path / "m.onnx", dynamo=False, **names)
    reading = files.read(tmp_path / "m.onnx", "onnx")
    output, (h_n, c_n), _ = reading.network.model().forward(x.numpy(), (h_0.numpy(), c_0.numpy()))
    expected, last = layer(x, (h_0, c_0))
    for ours, theirs in zip((output, h_n, c_n), (expected, *last)):
        assert np.abs(ours - theirs.detach().numpy()).max() < 1e-6
    assert reading.proof.error is None or reading.proof.error < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_a_part_is_read_alone_and_what_is_left_out_is_listed(tmp_path):
    modules = {"a": nn.LSTM(D, H, 2), "b": nn.Linear(H, O), "c": nn.Linear(D, D)}
    module = Composed(lambda m, x: m["b"](m["a"](m["c"](x).tanh())[0]).exp(), **modules)
    x = exported(tmp_path / "m.onnx", module)
    with pytest.raises(ValueError, match=r"--part NAME reads layers alone, of \S+, \S+$") as error:
        files.load(tmp_path / "m.onnx")
    name = str(error.value).rpartition(" of ")[2].split(", ")[1]
    reading = files.read(tmp_path / "m.onnx", "onnx", part=name)
    assert reading.network.title == "lstm, 2 layers from 3 to 5"
    assert np.abs(outputs(reading.network.model(), x) - modules["a"](x)[0].detach().numpy()).max() < 1e-6
    kinds = [" ".join(entry.split()[:-1]) for entry in reading.left_out]
    assert kinds[:3] == ["before: MatMul", "before: Add", "before: Tanh"] and "after or beside: Exp" in kinds
    assert reading.proof.error is None or reading.proof.error < 1e-5
    with pytest.raises(ValueError, match=r"part: expected a recurrent operator, of .*, got 'x'"):
        files.load(tmp_path / "m.onnx", part="x")
