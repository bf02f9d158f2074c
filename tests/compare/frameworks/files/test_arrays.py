"""Files of named arrays as each framework's users save them: read with the outputs of their makers, or refused."""

import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from networks import bits, network_of
from safetensors.torch import save_file
from torch import nn

from compare.frameworks import files
from compare.frameworks.files.arrays import from_arrays
from compare.frameworks.layouts import LAYOUTS

T, B, D, H, O = 6, 2, 3, 5, 4
X = np.random.default_rng(1).normal(size=(T, B, D)).astype(np.float32)


@pytest.fixture(autouse=True)
def jax_as_it_starts():
    """In single precision: what trains on JAX turns double precision on for a whole process."""
    with sys.modules["jax"].enable_x64(False) if "jax" in sys.modules else nullcontext():
        yield


def arrays_of(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def torch_modules(**modules):
    torch.manual_seed(0)
    return nn.ModuleDict(modules)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors", ".npz"])
def test_a_state_dict_of_torch_has_its_outputs(tmp_path, ending):
    module, path = (
        torch_modules(lstm=nn.LSTM(D, H, 2, bidirectional=True), fc=nn.Linear(2 * H, O)),
        tmp_path / f"m{ending}",
    )
    if ending == ".safetensors":
        save_file(module.state_dict(), path)
    elif ending == ".npz":
        np.savez_compressed(path, **arrays_of(module))
    else:
        torch.save({"model": module.state_dict(), "epoch": 3}, path)
    reading = files.read(path, "torch")
    theirs = module["fc"](module["lstm"](torch.from_numpy(X))[0]).detach().numpy()
    assert np.abs(reading.network.model().forward(X)[0] - theirs).max() < 1e-6
    assert reading.proof.words == "torch.nn computes the same" and reading.proof.error < 1e-5
    assert reading.assumed == ("x is (T, B, D)", "the readout reads every step and is linear")


LAYERS = {
    "proj_size": nn.LSTM(D, H, 2, proj_size=2),
    "bias=False": nn.GRU(D, H, 2, bias=False),
    "cell": nn.LSTMCell(D, H),
    "gru cell": nn.GRUCell(D, H),
    "rnn": nn.RNN(D, H, bidirectional=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_torch_has_its_outputs(tmp_path, name):
    torch.save(LAYERS[name].state_dict(), tmp_path / "m.pt")
    reading = files.read(tmp_path / "m.pt", "torch")
    assert reading.proof.error < 1e-5
    assert ("no biases, since there are none" in reading.assumed) == (name == "bias=False")
    if name == "proj_size":
        files.write(tmp_path / "again.npz", "torch", reading.network)
        assert bits(files.read(tmp_path / "again.npz", "torch").network) == bits(reading.network)
        with pytest.raises(ValueError, match="to: expected torch for proj_size = 2, got paddle"):
            files.write(tmp_path / "m.npz", "paddle", reading.network)


SQUARE = {"a": nn.LSTM(H, H), "b": nn.LSTM(H, H), "fc": nn.Linear(H, H), "out": nn.Linear(H, H)}
SQUARE |= {"norm": nn.BatchNorm1d(H), "conv": nn.Conv1d(H, H, 3)}

#: Modules by their names, and the words of the error.
REFUSED = {
    "encoder, decoder": (
        {"encoder": "a", "decoder": "b"},
        "under one prefix, got decoder, encoder; --only PREFIX chooses",
    ),
    "lower, higher": ({"lower": "a", "higher": "b"}, "under one prefix, got higher, lower; --only PREFIX chooses"),
    "fw, bw": ({"fw": "a", "bw": "b"}, "under one prefix, got bw, fw; --only PREFIX chooses"),
    "a gap": ({"0": "a", "2": "b"}, "expected layers numbered without a gap, got 0, 2"),
    "linear before": (
        {"fc": "fc", "rnn": "a"},
        "got fc.weight, which may stand before them; --form readout says after",
    ),
    "embedding": (
        {"rnn": "a", "norm": "norm", "conv": "conv"},
        "got also conv.bias, .*norm.weight; --only PREFIX leaves",
    ),
    "two linears": ({"rnn": "a", "fc": "fc", "out": "out"}, "got also fc.bias, fc.weight, out.bias, out.weight"),
    "no layer": (
        {"fc": "fc"},
        "expected for each layer arrays named weight_ih, weight_hh, bias_ih, bias_hh, got fc.bias",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_stack_is_refused(tmp_path, name):
    modules, words = REFUSED[name]
    save_file(torch_modules(**{n: SQUARE[m] for n, m in modules.items()}).state_dict(), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=rf"m\.safetensors: .*{words}"):
        files.read(tmp_path / "m.safetensors", "torch")


def test_only_a_prefix_is_read_and_the_rest_is_listed(tmp_path):
    module = torch_modules(model=torch_modules(encoder=SQUARE["a"], decoder=SQUARE["b"], embed=nn.Embedding(7, H)))
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    for only in ("model.decoder", "model.decoder."):
        reading = files.read(tmp_path / "m.safetensors", "torch", only=only)
        assert reading.network.title == "lstm, 1 layer from 5 to 5"
        ours = reading.network.layers[0][0]["weight_hh"]
        assert np.array_equal(ours, SQUARE["b"].weight_hh_l0.detach().numpy())
        assert "model.embed.weight" in reading.left_out and len(reading.left_out) == 5
    with pytest.raises(ValueError, match=r"only: expected a prefix of model\.dec.*, got 'model\.enc'"):
        files.read(tmp_path / "m.safetensors", "torch", only="model.enc")


def test_a_layer_that_does_not_begin_at_0_is_a_gap():
    arrays = {f"{name}_l1": array for name, array in zip(("weight_ih", "weight_hh"), np.ones((2, 4, 1)))}
    with pytest.raises(ValueError, match="without a gap, got _l1 alone"):
        from_arrays(arrays, "torch")


def test_a_readout_whose_place_is_said_or_named_is_read():
    for form, name in (("readout", "fc"), ("", "readout")):
        arrays = arrays_of(torch_modules(rnn=SQUARE["a"], **{name: SQUARE["fc"]}))
        assert from_arrays(arrays, "torch", form=form)[0].network.readout["weight"].shape == (H, H)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["the shapes say", "numbers"])
def test_the_order_of_flax_compact_is_that_of_the_shapes_or_said(tmp_path, order):
    """Python builds the outer cell first: in f(g(x)), f has the number 0."""
    linen, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    from flax.serialization import to_bytes

    width = D if order == "the shapes say" else H
    x = np.random.default_rng(1).normal(size=(B, T, width)).astype(np.float32)

    class Nested(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(O)(linen.RNN(linen.OptimizedLSTMCell(H))(linen.RNN(linen.OptimizedLSTMCell(H))(x)))

    parameters = Nested().init(jax.random.key(0), x)
    (tmp_path / "m.msgpack").write_bytes(to_bytes(parameters))
    theirs = np.asarray(Nested().apply(parameters, x))
    form = "batch first" if order == "the shapes say" else "batch first, last layer first"
    reading = files.read(tmp_path / "m.msgpack", "linen", form=form)
    assert np.abs(reading.network.model().forward(x)[0] - theirs).max() < 1e-6
    assert reading.proof.error < 1e-5
    if order == "numbers":
        said = files.read(tmp_path / "m.msgpack", "linen", prove=False).assumed
        assert "layers in the order of their numbers, though nested calls number the last first" in said
    else:
        assert "the last number is the first layer, as the shapes say" in reading.assumed


@pytest.mark.slow
@pytest.mark.parametrize("core", ["LSTM", "GRU", "VanillaRNN"])
def test_the_names_of_haiku_are_read(tmp_path, core):
    hk, jax = pytest.importorskip("haiku"), pytest.importorskip("jax")

    def forward(x):
        layer = getattr(hk, core)(H)
        output, _ = hk.dynamic_unroll(layer, x, layer.initial_state(B))
        return hk.Linear(O)(output)

    made = hk.without_apply_rng(hk.transform(forward))
    parameters = made.init(jax.random.key(0), X)
    np.savez(tmp_path / "m.npz", **{f"{m}/{n}": a for m, own in parameters.items() for n, a in own.items()})
    reading = files.read(tmp_path / "m.npz", "haiku")
    assert np.abs(reading.network.model().forward(X)[0] - np.asarray(made.apply(parameters, X))).max() < 1e-6
    assert reading.proof.error < 1e-5


@pytest.mark.slow
def test_the_leaves_of_equinox_are_read(tmp_path):
    eqx, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")

    cell, linear = eqx.nn.GRUCell(D, H, key=jax.random.key(0)), eqx.nn.Linear(H, O, key=jax.random.key(1))
    leaves = {f"cell/{n}": getattr(cell, n) for n in ("weight_ih", "weight_hh", "bias", "bias_n")}
    np.savez(tmp_path / "m.npz", **leaves, **{f"linear/{n}": getattr(linear, n) for n in ("weight", "bias")})
    reading = files.read(tmp_path / "m.npz", "equinox")
    _, outputs = jax.lax.scan(lambda h, x: (jax.vmap(cell)(x, h),) * 2, np.zeros((B, H), np.float32), X)
    theirs = np.asarray(jax.vmap(jax.vmap(linear))(outputs))
    assert np.abs(reading.network.model().forward(X)[0] - theirs).max() < 1e-6
    assert reading.proof.error < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_the_weights_of_a_keras_model_that_was_trained_are_read(tmp_path, kind):
    pytest.importorskip("keras")
    from compare.frameworks.files.keras_layer import import_keras

    keras = import_keras()
    layers = keras.layers
    recurrent = [getattr(layers, kind)(H, return_sequences=True) for _ in range(2)]
    model = keras.Sequential([keras.Input((None, D)), *recurrent, layers.Dropout(0.1), layers.Dense(O)])
    model.compile("adam", "mse")
    x = X.swapaxes(0, 1)
    model.fit(x, np.ones((B, T, O), np.float32), verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    reading = files.read(tmp_path / "m.weights.h5", "keras")
    theirs = keras.ops.convert_to_numpy(model(x))
    assert np.abs(reading.network.model().forward(x)[0] - theirs).max() < 1e-6
    assert reading.network.batch_first and reading.proof.error < 1e-5
    assert all(name.startswith("optimizer/") for name in reading.left_out) and reading.left_out


@pytest.mark.filterwarnings("ignore")
def test_other_layers_beside_keras_s_are_listed(tmp_path):
    pytest.importorskip("keras")
    from compare.frameworks.files.keras_layer import import_keras

    layers = import_keras().layers
    stack = [layers.Embedding(7, D), layers.BatchNormalization(), layers.LSTM(H)]
    model = import_keras().Sequential([import_keras().Input((T,)), *stack])
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(
        ValueError, match=r"got also layers/batch_normalization/vars/0, .*layers/embedding/vars/0; --only"
    ):
        files.read(tmp_path / "m.weights.h5", "keras")
    reading = files.read(tmp_path / "m.weights.h5", "keras", only="layers/lstm", form="final state")
    assert reading.network.title == "lstm, 1 layer from 3 to 5, of the final state alone, batch first"


@pytest.mark.parametrize("form", LAYOUTS["onnx"])
def test_arrays_of_onnx_s_own_shapes_are_read(tmp_path, form):
    """W (directions, 4 H, D), R (directions, 4 H, H), B (directions, 8 H)."""
    onnx = pytest.importorskip("onnx")
    from compare.frameworks.files.onnx_layer import as_model

    network = network_of(form, directions=2, readout=False, dtype="float32")
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in as_model(network).graph.initializer}
    arrays = {f"l{n.partition('_l')[2]}/{n[0]}": a for n, a in tensors.items() if n[0] in "WRBP"}
    np.savez(tmp_path / "m.npz", **arrays)
    reading = files.read(tmp_path / "m.npz", "onnx", form=form)
    assert bits(reading.network) == bits(network)
    assert reading.proof.error is None or reading.proof.error < 1e-5


def test_the_forget_bias_of_tensorflow_1_is_said_or_assumed():
    network = network_of("lstm", layers=1, readout=False, lacking=True)
    own = LAYOUTS["tensorflow-block-v1"]["lstm"].weights(network.layers[0][0])
    reading, _ = from_arrays(own, "tensorflow-block-v1")
    assert "nothing is added to the bias of the forget gate at run time" in reading.assumed
    said, _ = from_arrays(own, "tensorflow-block-v1", form="lstm, forget bias 1")
    biases = [one.network.layers[0][0]["bias_ih"] + one.network.layers[0][0]["bias_hh"] for one in (said, reading)]
    assert np.array_equal(biases[0] - biases[1], np.repeat([0, 1.0, 0, 0], H))
