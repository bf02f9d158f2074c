"""``convert`` where a framework is not installed."""

import sys

import pytest
from networks import network_of

from compare.cli import main
from compare.frameworks import files


@pytest.mark.parametrize("target, ending, module", [("onnx", ".onnx", "onnx"), ("linen", ".msgpack", "flax")])
def test_what_is_missing_is_named_with_what_installs_it(target, ending, module, tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.npz"
    files.write(path, "torch", network_of("lstm"), False)
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    arguments = ["convert", str(path), "--from", "torch", "--to", target, "--out", str(tmp_path / f"b{ending}")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        f"expected {module}, which is not installed here: pip install -c constraints.txt -e '.[frameworks]'"
    )
