import json
import re
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from networks import bits, network_of, output_of
from safetensors.numpy import load_file

from compare.cli import main
from compare.converter import load, save
from compare.frameworks import files
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: Keras and torch have fallen out of step with NumPy here; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

#: The forms that the arrays alone tell.
TOLD = [
    (fw, form)
    for fw, forms in LAYOUTS.items()
    for form in forms
    if form not in ("rnn, relu", "rnn, sigmoid") or fw == "haiku"
]
TOLD = [(fw, form) for fw, form in TOLD if fw != "onnx" or form in ("lstm", "lstm, peepholes", "gru", "rnn")]


@pytest.mark.slow
@pytest.mark.parametrize("framework, form", TOLD)
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_arrays_come_back_bit_for_bit(tmp_path, framework, form, ending):
    network = network_of(form, directions=2, lacking=True)
    if form == "gru" and not LAYOUTS[framework][form].lacking:
        network = network_of(form, directions=2, layers=3)
        for weights in (weights for layer in network.layers for weights in layer):
            weights["bias_hh"][:10] = 0  # of r and z, which a framework may add to the first
    path = tmp_path / f"weights{ending}"
    files.write(path, framework, network, prove=False)
    again = files.read(path, framework, prove=False).network
    if framework == "haiku":  # whose second bias of f is the 1 that it adds
        biases = again.layers[0][0]["bias_ih"] + again.layers[0][0]["bias_hh"]
        assert np.abs(biases - network.layers[0][0]["bias_ih"]).max() < 1e-15
    else:
        assert bits(again) == bits(network)
    files.write(tmp_path / f"again{ending}", framework, again, prove=False)
    assert bits(files.read(tmp_path / f"again{ending}", framework, prove=False).network) == bits(again)


MODELS = [(".onnx", "onnx"), (".keras", "keras"), (".weights.h5", "keras"), (".msgpack", "linen")]
MODULES = {"onnx": "onnx", "keras": "keras", "linen": "flax", "torch": "torch"}


#: How a network ends that only a model can say.
EDGES = [{"batch_first": True, "activation": "softmax"}, {"batch_first": True, "final": True}]


@pytest.mark.slow
@pytest.mark.parametrize("ending, framework", MODELS)
@pytest.mark.parametrize(
    "directions, readout, dtype", [(1, True, "float32"), (2, True, "float64"), (2, False, "float32")]
)
def test_models_come_back_bit_for_bit_and_are_proved(tmp_path, ending, framework, directions, readout, dtype):
    pytest.importorskip(MODULES[framework])
    tells_all, path = ending in (".onnx", ".keras"), tmp_path / f"model{ending}"
    for form in LAYOUTS[framework]:
        if form in ("rnn, relu", "rnn, sigmoid") and not tells_all:
            continue
        for edges in ({}, *(EDGES if tells_all else ())):
            if edges.get("activation") and not readout:
                continue
            network = network_of(form, 2, directions, readout, dtype, lacking=framework != "onnx", **edges)
            proof = files.write(path, framework, network, prove=tells_all).proof
            again = files.read(path, framework, prove=False).network
            assert bits(again) == bits(network)
            if tells_all:
                assert again.title.removesuffix(", batch first") == network.title.removesuffix(", batch first")
            if tells_all and (framework == "keras" or find_spec("onnxruntime")):
                assert proof.error < 1e-5


@pytest.mark.parametrize(
    "ending, framework, theirs",
    [(".onnx", "onnx", "ONNX Runtime"), (".keras", "keras", "Keras"), (".pt", "torch", "torch.nn")],
)
def test_a_reader_that_is_wrong_is_caught_by_the_proof(tmp_path, monkeypatch, ending, framework, theirs):
    pytest.importorskip({"onnx": "onnxruntime"}.get(framework, framework))
    path = tmp_path / f"model{ending}"
    if framework == "torch":
        torch.save(torch.nn.LSTM(3, 5).state_dict(), path)
    else:
        files.write(path, framework, network_of("lstm", lacking=True, batch_first=True), prove=False)
    wrong = replace(LAYOUTS[framework]["lstm"], gates="i f o g")
    monkeypatch.setitem(LAYOUTS[framework], "lstm", wrong)
    with pytest.raises(ValueError, match=rf"expected the outputs of {re.escape(theirs)}.*, got others: off by"):
        files.read(path, framework)
    assert files.read(path, framework, prove=False).proof.words == "left out, as asked"


@pytest.mark.parametrize("ending, framework", MODELS)
def test_a_number_that_has_changed_is_refused(tmp_path, ending, framework):
    """Not all formats have a checksum of their own. One changed bit of a weight is still a finite number."""
    pytest.importorskip(MODULES[framework])
    network, path = network_of("lstm", layers=1), tmp_path / f"model{ending}"
    files.write(path, framework, network, prove=False)
    whole = path.read_bytes()
    weight = network.readout["bias"].tobytes()  # as every format has it
    assert whole.count(weight) == 1
    place = whole.index(weight) + 3
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ValueError, match="model"):
        files.read(path, framework, prove=False)


@pytest.mark.slow
def test_flax_loads_the_parameters_of_its_own_sequential_model(tmp_path):
    nn = pytest.importorskip("flax.linen")
    jax = pytest.importorskip("jax")
    from flax.serialization import from_bytes, msgpack_restore

    path, network = tmp_path / "parameters.msgpack", network_of("gru", dtype="float32")
    files.write(path, "linen", network, prove=False)
    model = nn.Sequential([nn.RNN(nn.GRUCell(5)), nn.RNN(nn.GRUCell(5)), nn.Dense(4)])
    x = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    theirs = np.asarray(model.apply(msgpack_restore(path.read_bytes()), x.swapaxes(0, 1))).swapaxes(0, 1)
    assert np.abs(output_of(network, x) - theirs).max() < 1e-6
    target = model.init(jax.random.key(0), x.swapaxes(0, 1))
    again = jax.jit(model.apply)(from_bytes(target, path.read_bytes()), x.swapaxes(0, 1))
    assert np.abs(np.asarray(again).swapaxes(0, 1) - theirs).max() < 1e-6


def test_torch_loads_its_arrays(tmp_path):
    network = network_of("lstm", readout=False, directions=2)
    files.write(tmp_path / "weights.safetensors", "torch", network, prove=False)
    layer = torch.nn.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    layer.load_state_dict({n: torch.tensor(a) for n, a in load_file(tmp_path / "weights.safetensors").items()})
    x = np.random.default_rng(1).normal(size=(6, 2, 3))
    assert np.abs(layer(torch.from_numpy(x))[0].detach().numpy() - output_of(network, x)).max() < 1e-14


def test_what_is_converted_to_torch_is_loaded_as_a_run_s_weights(tmp_path):
    model = network_of("lstm", lacking=True).model()
    files.write(tmp_path / "a.npz", "keras", Network.of(model), prove=False)
    files.write(tmp_path / "a.safetensors", "torch", files.read(tmp_path / "a.npz", "keras").network, prove=False)
    before = {name: array.copy() for name, array in model.parameters.items()}
    for array in model.parameters.values():
        array[...] = 0
    load(tmp_path / "a.safetensors", model, ("i", "f", "g", "o"))
    assert all(np.array_equal(model.parameters[name], array) for name, array in before.items())


@pytest.fixture
def refused(tmp_path, capsys):
    """The command line refuses to convert a file in these words, on one line, and writes none."""

    def refused(words, path, framework, *options, to="torch"):
        arguments = [path, "--from", framework, "--to", to, "--out", tmp_path / "refused.npz", *options]
        assert main(["convert", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert words in error, error
        assert not (tmp_path / "refused.npz").exists()

    return refused


def test_what_a_run_leaves_behind_is_converted(tmp_path, capsys):
    model = network_of("gru").model()
    save(tmp_path / "weights.safetensors", model, ("r", "z", "n"))
    out = tmp_path / "keras.npz"
    arguments = [tmp_path / "weights.safetensors", "--from", "torch", "--to", "keras", "--out", out]
    assert main(["convert", *map(str, arguments)]) == 0
    assert "gru, 2 layers from 3 to 5, readout to 4: torch (r z n) to keras (z r n)" in capsys.readouterr().out
    assert set(np.load(out)) == {"readout/kernel", "readout/bias"} | {
        f"l{k}/{name}" for k in (0, 1) for name in ("kernel", "recurrent_kernel", "bias")
    }


def test_what_a_framework_cannot_hold_is_refused(tmp_path, refused):
    path = tmp_path / "gru.npz"
    files.write(path, "torch", network_of("gru"), prove=False)
    for target, words in {
        "nnx": "bias_hh: expected zeros for gate n, whose second bias this layout cannot hold",
        "haiku": "to: haiku has lstm; gru, reset before; rnn, relu, but the network is gru",
    }.items():
        refused(words, path, "torch", to=target)


def test_what_arrays_do_not_say_is_said(tmp_path, capsys, refused):
    network = network_of("rnn, relu", activation="softmax", final=True, batch_first=True)
    assert files.write(tmp_path / "x.npz", "torch", network, prove=False).unsaid == (
        *("rnn, relu", "softmax readout", "final state", "batch first"),
    )
    arguments = [tmp_path / "x.npz", "--from", "torch", "--to", "torch", "--out", tmp_path / "y.npz"]
    assert main(["convert", *map(str, arguments)]) == 0
    said = "Assumed: rnn, which has the arrays of rnn, relu; x is (T, B, D); the readout reads every step and is linear"
    assert said in capsys.readouterr().out
    form = ["--form", "rnn, relu, softmax readout, final state, batch first"]
    assert main(["convert", *map(str, arguments), *form, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["network"] == network.title and found["assumed"] == [] and found["read"]["error"] < 1e-5
    assert found["unsaid"] == ["rnn, relu", "softmax readout", "final state", "batch first"]
    refused("form: expected one of lstm; ", tmp_path / "x.npz", "torch", "--form", "rnn, backwards")
    refused("form: expected one of lstm; gru; ", tmp_path / "x.npz", "torch", "--form", "gru, reset before")
    refused("part: expected a model", tmp_path / "x.npz", "torch", "--part", "a")


def test_bad_files_are_refused(tmp_path, refused):
    files.write(tmp_path / "a.safetensors", "keras", network_of("lstm"), prove=False)
    (tmp_path / "b.npz").write_bytes(b"no arrays")
    (tmp_path / "b.onnx").write_bytes(b"no model")
    np.savez(tmp_path / "c.npz", weight=np.ones((2, 3)))
    for file, framework, words in [
        ("a.safetensors", "torch", "torch: expected for each layer arrays named weight_ih, weight_hh"),
        ("a.safetensors", "mlx", "mlx: expected for each layer arrays named Wx, Wh"),
        ("a.onnx", "onnx", "file: no such file"),
        ("a.onnx", "torch", "file: expected a name that ends in .pt or .pth or .safetensors or .npz for torch"),
        ("a.txt", "keras", "file: expected a name that ends in .keras or .h5 or .weights.h5 or .safetensors or .npz"),
        ("b.npz", "torch", "b.npz: expected a file of arrays as its name says"),
        ("c.npz", "torch", "torch: expected for each layer arrays named"),
    ]:
        refused(words, tmp_path / file, framework)
    pytest.importorskip("onnx")
    refused("b.onnx: expected an ONNX model", tmp_path / "b.onnx", "onnx")


def damaged_archive(path):
    """Change a byte of config.json in a Keras model, which its checksum shows."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"module"', b'"nodule"', 1))


@pytest.mark.parametrize(
    "ending, framework, damage, words",
    [
        (".keras", "keras", damaged_archive, "BadZipFile: Bad CRC-32"),
        (".msgpack", "linen", lambda path: path.write_bytes(b"\x05"), "AssertionError: expected"),
        (".npz", "torch", lambda path: np.savez(path, **{n: a.astype(int) for n, a in np.load(path).items()}), "int64"),
    ],
)
def test_whatever_a_parser_raises_of_a_damaged_file_is_bad_input(tmp_path, refused, ending, framework, damage, words):
    pytest.importorskip(MODULES[framework])
    path = tmp_path / f"weights{ending}"
    files.write(path, framework, network_of("lstm", lacking=True), prove=False)
    damage(path)
    refused(words, path, framework)


@pytest.mark.parametrize("ending, framework", [(".npz", "torch"), (".onnx", "onnx"), (".msgpack", "linen")])
@pytest.mark.parametrize("part", ["layer", "readout"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, ending, framework, part):
    pytest.importorskip(MODULES[framework])
    network = network_of("lstm", lacking=True)
    name, arrays = ("readout.bias", network.readout) if part == "readout" else ("weight_hh_l1", network.layers[1][0])
    arrays[name.partition("_l")[0].removeprefix("readout.")][-1] = np.nan
    writer = "onnx_layer" if ending == ".onnx" else "arrays"
    import_module(f"compare.frameworks.files.{writer}").write(tmp_path / f"weights{ending}", framework, network)
    with pytest.raises(ValueError, match=f"{name}: expected finite numbers, got others"):
        files.read(tmp_path / f"weights{ending}", framework, prove=False)


def test_arrays_of_several_dtypes_are_refused():
    network = network_of("lstm")
    network.readout["bias"] = network.readout["bias"].astype(np.float32)
    with pytest.raises(ValueError, match=r"readout\.bias: expected dtype float64, got float32"):
        network.model()
    network.readout["bias"] = np.ones(1)
    with pytest.raises(ValueError, match=r"readout\.bias: expected shape \(4,\), got \(1,\)"):
        network.model()


def test_a_file_that_says_it_has_another_layout_is_refused(tmp_path):
    network = network_of("lstm", lacking=True)
    files.write(tmp_path / "a.safetensors", "tensorflow-block-v1", network, prove=False)
    with pytest.raises(
        ValueError, match="expected layout 'tensorflow-block-v2: i f g o', got 'tensorflow-block-v1: i g f o'"
    ):
        files.read(tmp_path / "a.safetensors", "tensorflow-block-v2", prove=False)


def test_layers_that_do_not_fit_each_other_are_refused():
    network = network_of("lstm")
    with pytest.raises(ValueError, match="weight_ih_l1: expected shape"):
        Network("lstm", [network.layers[0], network.layers[0]], network.readout).model()
    with pytest.raises(ValueError, match="readout: expected weights of 5 columns, got 7"):
        Network("lstm", network.layers, {"weight": np.ones((2, 7)), "bias": np.ones(2)}).model()
