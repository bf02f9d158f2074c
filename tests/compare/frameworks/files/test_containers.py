"""Files that nobody trusts: what reads other files, unpacks to too much, runs something or lies about its size."""

import io
import zipfile

import numpy as np
import pytest
import torch

from compare.frameworks import files
from compare.frameworks.files import containers


def read_npz(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return containers.read(tmp_path / "m.npz")


def npy(array, shape=None):
    """The bytes of an entry; its header may tell another shape."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    text = stream.getvalue()
    return text if shape is None else text.replace(str(array.shape).encode(), shape.encode(), 1)


def test_arrays_come_back(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(3, 4)),
        "b": np.asfortranarray(rng.normal(size=(2, 3)).astype(np.float32)),
        "c": rng.normal(),
    }
    np.savez_compressed(tmp_path / "m.npz", **arrays)
    again, layout = containers.read(tmp_path / "m.npz")
    assert layout == "" and all(np.array_equal(again[name], array) for name, array in arrays.items())


@pytest.mark.parametrize(
    "data, words",
    [
        (npy(np.ones((2, 3)), "(2, 9)"), "m.npz: .*a.npy: expected 144 bytes, as its header says, got 48"),
        (npy(np.ones((2, 3)), "(1, 3)"), "a.npy: expected 24 bytes, as its header says, got 48"),
        (npy(np.ones((2, 3)), "(9999999999, 999999)"), "a.npy: expected .* bytes, as its header says"),
        (npy(np.array([{}], dtype=object)), "a.npy: expected numbers, got Python objects"),
        (b"not an array", "expected a file of arrays as its name says"),
    ],
)
def test_an_npz_that_is_not_what_it_says_is_refused(tmp_path, data, words):
    with pytest.raises(ValueError, match=words):
        read_npz(tmp_path, {"a.npy": data})


def test_an_npz_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "LIMIT", 1 << 20)
    np.savez_compressed(tmp_path / "m.npz", a=np.zeros(1 << 18), b=np.zeros(3))
    assert (tmp_path / "m.npz").stat().st_size < 1 << 14
    with monkeypatch.context() as patch:
        patch.setattr(np, "frombuffer", None)  # would unpack
        with pytest.raises(ValueError, match=r"unpacked: expected at most 0 GiB without --large, got 0.0 GiB"):
            containers.read(tmp_path / "m.npz")
    assert set(containers.read(tmp_path / "m.npz", large=True)[0]) == {"a", "b"}


def external(file, secret):
    file.create_dataset("vars/0", (4,), "u1", external=[(str(secret), 0, 4)])


def virtual(file, secret):
    layout = file_of(secret).VirtualLayout((4,), "u1")
    layout[:] = file_of(secret).VirtualSource(str(secret), "a", (4,))
    file.create_virtual_dataset("vars/0", layout)


def linked(file, secret):
    file["vars/0"] = file_of(secret).ExternalLink(str(secret), "a")


def soft(file, secret):
    file["vars/0"] = file_of(secret).SoftLink("/elsewhere")


def text(file, secret):
    file["vars/0"] = "words"


def file_of(_):
    import h5py

    return h5py


@pytest.mark.parametrize("attack", [external, virtual, linked, soft, text])
@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_an_hdf5_file_that_reads_others_is_refused(tmp_path, attack, ending):
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("keras")
    secret, path = tmp_path / "secret", tmp_path / "m.weights.h5"
    secret.write_bytes(b"root:x:0")
    with h5py.File(path, "w") as file:
        attack(file.create_group("layers/lstm/cell"), secret)
    if ending == ".keras":
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.write(path, "model.weights.h5")
    expected = "numbers, got object" if attack is text else "data in the file itself, got (data in other files|a link)"
    with pytest.raises(ValueError, match=f"m{ending}: .*expected .*{expected}"):
        files.read(tmp_path / f"m{ending}", "keras")


def test_an_hdf5_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 12), "f8", compression="gzip")  # nothing is in it
    with pytest.raises(ValueError, match=r"unpacked: expected at most 4 GiB without --large, got 32.0 GiB"):
        files.read(tmp_path / "m.weights.h5", "keras")


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.filterwarnings("ignore")
def test_a_torch_file_runs_nothing(tmp_path, capsys):
    torch.save({"a": Evil()}, tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"m\.pt: .*expected a state_dict that torch.load\(weights_only=True\) takes"):
        files.read(tmp_path / "m.pt", "torch")
    torch.jit.script(torch.nn.Linear(2, 3)).save(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"expected a state_dict, got a TorchScript program"):
        files.read(tmp_path / "m.pt", "torch")
    (tmp_path / "m.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"m\.pt: .*expected a state_dict"):
        files.read(tmp_path / "m.pt", "torch")
    assert "run" not in capsys.readouterr().out


def test_an_onnx_file_reads_no_file_outside_its_folder(tmp_path):
    onnx = pytest.importorskip("onnx")
    from networks import network_of

    from compare.frameworks.files.onnx_layer import as_model

    (tmp_path / "secret").write_bytes(bytes(1 << 12))
    (tmp_path / "inner").mkdir()
    model = as_model(network_of("lstm"))
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    (tmp_path / "inner" / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"m\.onnx: expected an ONNX model"):
        files.load(tmp_path / "inner" / "m.onnx")
