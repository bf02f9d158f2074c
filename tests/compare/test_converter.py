import json
import struct
from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import manual
import torch_impl
from compare.converter import load, save, to_manual, to_torch

GATES = ("i", "f", "g", "o")
RIGHT = {"layout": "torch: i f g o"}


def bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in module.named_parameters()}


@contextmanager
def refused(words: str, parameters: Callable[[], dict[str, np.ndarray]]):
    """What happens here is to be refused in these words, and to leave the parameters as they were."""
    before = bits(parameters())
    with pytest.raises(ValueError) as error:
        yield
    assert words in str(error.value)
    assert bits(parameters()) == before


def awkward(model: manual.Model) -> manual.Model:
    """The model with values in it that any arithmetic on the way would lose."""
    tiny = np.finfo(model.recurrent.dtype).smallest_subnormal
    model.parameters["recurrent.weight_hh_l0"][0, :3] = -0.0, tiny, 1 / 3
    return model


def spoiled(parameters: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Parameters that no model should take, by what is wrong with them: in the last tensor, so that all others fit."""
    last = "readout.bias"
    rest = {name: array for name, array in parameters.items() if name != last}
    return {
        "missing: ['readout.bias']": rest,
        "unknown: ['readout.scale']": parameters | {"readout.scale": parameters[last]},
        "missing: ['readout.bias']; unknown: ['readout.Bias']": rest | {"readout.Bias": parameters[last]},
        "readout.bias: expected shape (1,), got (2,)": rest | {last: np.repeat(parameters[last], 2)},
        "readout.bias: expected shape (1,), got ()": rest | {last: parameters[last][0]},
        "readout.bias: expected shape (1,), got (1, 1)": rest | {last: parameters[last][None]},
        "readout.bias: expected dtype float64, got float32": rest | {last: parameters[last].astype(np.float32)},
    }


FAULTS = list(spoiled({"readout.bias": np.array([0.4])}))


@pytest.mark.parametrize("layer", [torch_impl.LSTM, torch.nn.LSTM])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_weights_arrive_in_torch_and_come_back_bit_for_bit(manual_model, torch_model, layer, dtype):
    model, module = awkward(manual_model(1, dtype=dtype)), torch_model(layer, dtype=getattr(torch, dtype))
    to_torch(model, module)
    assert bits(arrays_of(module)) == bits(model.parameters)
    other = manual_model(2, dtype=dtype)
    to_manual(module, other)
    assert bits(other.parameters) == bits(model.parameters)


def test_layers_by_themselves_are_converted_as_well(rng):
    shape = {"num_layers": 2, "bidirectional": True}
    layer, module = manual.LSTM(3, 4, rng=rng, **shape), torch.nn.LSTM(3, 4, dtype=torch.float64, **shape)
    to_torch(layer, module)
    assert bits(arrays_of(module)) == bits(layer.parameters)


def test_neither_side_follows_a_later_change_of_the_other_until_it_is_converted_again(manual_model, torch_model):
    """The arrays and tensors stay: an optimiser holds on to them, and would train others than those that are used."""
    model, module = manual_model(1), torch_model()
    arrays, tensors = dict(model.parameters), dict(module.named_parameters())
    to_torch(model, module)
    before = bits(arrays_of(module))
    for array in model.parameters.values():
        array += 1
    assert bits(arrays_of(module)) == before
    to_torch(model, module)
    assert bits(arrays_of(module)) == bits(model.parameters) != before
    to_manual(module, model)
    before = bits(model.parameters)
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.add_(1)
    assert bits(model.parameters) == before
    assert all(model.parameters[name] is array for name, array in arrays.items())
    assert all(tensor is tensors[name] for name, tensor in module.named_parameters())


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_a_module_or_in_a_file_a_model_is_refused_and_nothing_copied(
    manual_model, torch_model, tmp_path, fault
):
    module, model, arrays = torch_model(), manual_model(2), spoiled(manual_model(1).parameters)[fault]
    with refused(fault, lambda: arrays_of(module)):
        to_torch(SimpleNamespace(parameters=arrays), module)
    save_file({name: np.asarray(array) for name, array in arrays.items()}, tmp_path / "weights", RIGHT)
    with refused(fault, lambda: model.parameters):
        load(tmp_path / "weights", model, GATES)


def test_what_does_not_fit_the_manual_model_is_refused_and_nothing_copied(manual_model, torch_model):
    model, module = manual_model(1), torch_model()
    module.readout = torch.nn.Linear(5, 2, dtype=torch.float64)
    with refused("readout.weight: expected shape (1, 5), got (2, 5)", lambda: model.parameters):
        to_manual(module, model)


def test_a_module_without_biases_or_of_another_precision_is_refused(manual_model, torch_model, rng):
    layer = manual.LSTM(3, 4, rng=rng)
    with refused("missing: ['bias_hh_l0', 'bias_ih_l0']", lambda: layer.parameters):
        to_manual(torch.nn.LSTM(3, 4, bias=False, dtype=torch.float64), layer)
    with pytest.raises(ValueError, match="expected dtype float64, got float32"):
        to_manual(torch_model(dtype=torch.float32), manual_model(1))
    with pytest.raises(ValueError, match="expected dtype float32, got float64"):
        to_torch(manual_model(1), torch_model(dtype=torch.float32))


@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_weights_come_back_from_a_file_bit_for_bit(manual_model, tmp_path, dtype, order):
    original, other = awkward(manual_model(1, dtype=dtype)), manual_model(2, dtype=dtype)
    ordered = SimpleNamespace(parameters={name: order(array) for name, array in original.parameters.items()})
    save(tmp_path / "weights", ordered, GATES)
    load(tmp_path / "weights", other, GATES)
    assert bits(other.parameters) == bits(original.parameters)


def test_the_same_weights_make_the_same_file_which_any_reader_of_the_format_understands(manual_model, tmp_path):
    for k in range(8):
        save(tmp_path / str(k), manual_model(1), GATES)
    (content,) = {path.read_bytes() for path in tmp_path.iterdir()}
    assert bits(load_file(tmp_path / "0")) == bits(manual_model(1).parameters)
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    layout, checksum = header["__metadata__"]["layout"].split("; sha256 ")
    assert {"layout": layout} == RIGHT
    assert len(checksum) == 64
    assert header["recurrent.weight_ih_l0"]["shape"] == [20, 2]
    assert header["recurrent.weight_ih_l0"]["dtype"] == "F64"


@pytest.mark.parametrize(
    "metadata, got",
    [
        ({"layout": "keras"}, "keras"),
        ({"gates": "i f g o"}, ""),
        (None, ""),
        ({"layout": "torch: i f o g"}, "torch: i f o g"),
        ({"layout": "torch: r z n"}, "torch: r z n"),
    ],
)
def test_another_layout_is_refused_and_nothing_copied(manual_model, tmp_path, metadata, got):
    save_file(manual_model(1).parameters, tmp_path / "weights", metadata)
    model = manual_model(2)
    with refused(f"expected layout 'torch: i f g o', got {got!r}", lambda: model.parameters):
        load(tmp_path / "weights", model, GATES)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda content: b"", "weights: expected a safetensors file"),
        (lambda content: b"not weights at all", "weights: expected a safetensors file"),
        (lambda content: b"\x80\x04\x95pickled", "weights: expected a safetensors file"),
        (lambda content: b"\xff" * 100, "weights: expected a safetensors file"),
        (lambda content: content[:-1], "weights: expected a safetensors file"),
        (lambda content: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:], "expected arrays with the checksum"),
    ],
)
def test_a_damaged_file_is_refused_and_nothing_copied(manual_model, tmp_path, change, words):
    path = tmp_path / "weights"
    save(path, manual_model(1), GATES)
    path.write_bytes(change(path.read_bytes()))
    model = manual_model(2)
    with refused(words, lambda: model.parameters):
        load(path, model, GATES)


def test_a_missing_file_and_a_directory_are_named(manual_model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory.*nowhere"):
        load(tmp_path / "nowhere", manual_model(1), GATES)
    with pytest.raises(ValueError, match=f"{tmp_path}: expected a safetensors file, but it is a directory"):
        load(tmp_path, manual_model(1), GATES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(manual_model, tmp_path, value):
    broken, model = manual_model(1), manual_model(2)
    broken.parameters["readout.bias"][0] = value
    save(tmp_path / "weights", broken, GATES)
    with refused("expected finite numbers, got others in readout.bias", lambda: model.parameters):
        load(tmp_path / "weights", model, GATES)
