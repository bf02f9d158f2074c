"""Damaged files: weights, runs, checkpoints, derivations. Each is refused in one line, or read for what it says.

A file with a checksum, of this project's or of its format's, must be refused or give the numbers that were written.
"""

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reporter import Failed, in_child, soak  # isort: skip - it prepares the search path

import derived
import numpy as np
import torch
from mutation import mutants
from networks import network_of

from compare.cells.check import check_file
from compare.checker.derivations.file import load
from compare.cli import main
from compare.commands.runs import running
from compare.frameworks import files
from compare.frameworks.network import Network

#: Returns the bytes of a file, damaged.
Damage = Callable[[random.Random, bytes], bytes]

#: Endings, each with a framework whose files have it, and whether a checksum guards all that a network is read from. In
#: an ONNX model it guards the arrays, but not the attributes of its operators.
KINDS = [
    (".safetensors", "torch", True),
    (".safetensors", "equinox", True),
    (".npz", "torch", True),
    (".npz", "haiku", True),
    (".keras", "keras", True),
    (".onnx", "onnx", False),
    (".weights.h5", "keras", True),
    (".msgpack", "linen", True),
]


def trial(seed: int) -> str:
    """Damage one file, and have it read."""
    rng = random.Random(seed)
    with TemporaryDirectory() as place:
        return rng.choices([_weights, _run, _derivation], [5, 2, 4])[0](rng, Path(place))


def _weights(rng: random.Random, folder: Path) -> str:
    """Damage a file of weights, and convert it."""
    ending, framework, guarded = rng.choice(KINDS)
    network = network_of("lstm", 2, rng.choice([1, 2]), dtype=rng.choice(["float32", "float64"]), lacking=True)
    path, out = folder / f"weights{ending}", folder / "out.npz"
    in_child(lambda: str(files.write(path, framework, network)), seconds=60)
    whole = path.read_bytes()
    damage = rng.choice(DAMAGES)
    path.write_bytes(damage(rng, whole))
    title = f"{framework} {ending}, {damage.__name__[1:]}"

    def task() -> tuple[int, str, float]:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            arguments = ["convert", str(path), "--from", framework, "--to", "torch", "--out", str(out)]
            status = main(arguments)
        if status:
            return status, errors.getvalue(), 0.0
        return status, "", _difference(files.read(out, "torch").network, network)

    status, error, difference = in_child(task, seconds=60)
    if status == 2 and error.count("\n") == 1 and not out.exists():
        return "weights refused"
    if status:
        raise Failed(f"{title}: exit status {status}: {error}")
    if np.isfinite(difference) and (difference == 0 or not guarded or damage is _replaced):
        return "weights as written" if difference == 0 else "weights as the damaged file says"
    raise Failed(f"{title}: read, but the numbers differ by {difference}")


def _difference(actual: Network, expected: Network) -> float:
    """Return the largest difference of all arrays, both biases of a layer together; infinity for another form."""
    found = []
    for a, b in zip(_arrays(actual), _arrays(expected), strict=True):
        if a.shape != b.shape:
            return np.inf
        found.append(np.abs(a.astype(float) - b).max())
    eps = np.finfo(expected.layers[0][0]["bias_ih"].dtype).eps
    return float(max(found)) if max(found) > eps else 0.0  # Haiku takes 1 from a bias and adds it again


def _arrays(network: Network) -> list[Any]:
    sweeps = [weights for layer in network.layers for weights in layer]
    arrays = [[w["weight_ih"], w["weight_hh"], w["bias_ih"] + w["bias_hh"]] for w in sweeps]
    return [array for own in arrays for array in own] + [network.readout[name] for name in sorted(network.readout)]


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 30])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flipped_at_the_start(rng: random.Random, data: bytes) -> bytes:
    return _flipped(rng, data[:200]) + data[200:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.choice([0, 1, 7, 8, 9, 100, rng.randrange(len(data)), len(data) - 1])]


def _longer(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice([1, 8, 1000]))


def _holed(rng: random.Random, data: bytes) -> bytes:
    start, size = rng.randrange(len(data)), rng.choice([1, 8, 64, 1000])
    return data[:start] + rng.choice([b"\0", b"\xff"]) * size + data[start + size :]


def _shifted(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice([1, 8]) :]


def _random(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.choice([1, 100, len(data)]))


def _replaced(rng: random.Random, data: bytes) -> bytes:
    """Replace a piece of text, also inside an archive, whose checksums are then right."""
    old, new = rng.choice(
        [
            (b"float32", b"float64"),
            (b"F32", b"F64"),
            (b"weight_ih", b"weight_xx"),
            (b"kernel", b"colonel"),
            (b"tanh", b"relu"),
            (b"sigmoid", b"softmax"),
            (b"forward", b"reverse"),
            (b"[20,", b"[02,"),
            (b"(20,", b"(10,"),
            (b"LSTM", b"LTSM"),
            (b"units", b"unity"),
            (b'"units": 5', b'"units": 6'),
            (b"shape", b"shade"),
            (b"{", b"}"),
            (b"false", b"true"),
            (b"sha256 ", b"sha256 0"),
        ]
    )
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data.replace(old, new)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            archive.writestr(name, content if name.endswith(".h5") else content.replace(old, new))
    return target.getvalue()


def _not_finite(rng: random.Random, data: bytes) -> bytes:
    """Write a NaN or an infinity over eight bytes, which only those without a checksum can show."""
    start = rng.randrange(0, max(1, len(data) - 8)) // 4 * 4
    bits = rng.choice([np.float32(np.nan), np.float32(np.inf), np.float64(np.nan)]).tobytes()
    return data[:start] + bits + data[start + len(bits) :]


DAMAGES: list[Damage] = [
    _flipped,
    _flipped,
    _flipped_at_the_start,
    _cut,
    _longer,
    _holed,
    _shifted,
    _random,
    _replaced,
    _replaced,
    _not_finite,
]


def _run(rng: random.Random, folder: Path) -> str:
    """Damage a file of a finished or stopped run; add with the one, go on with the other."""
    file, arguments = rng.choice(
        [
            ("done/summary.json", ["add", "done", "5", "6"]),
            ("done/weights.safetensors", ["add", "done", "5", "6"]),
            ("stopped/checkpoint.safetensors", ["train", "--resume", "stopped", "--quiet"]),
        ]
    )
    shutil.copytree(RUNS, folder, dirs_exist_ok=True)
    damage = rng.choice(DAMAGES)
    (folder / file).write_bytes(damage(rng, (folder / file).read_bytes()))
    title = f"{file}, {damage.__name__[1:]}"

    def task() -> tuple[int, str]:
        os.chdir(folder)
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            return main(arguments), errors.getvalue()

    status, error = in_child(task, seconds=60)
    if status == 2 and error.count("\n") == 1:
        return "runs refused"
    if status:
        raise Failed(f"{title}: exit status {status}: {error}")
    weights = [(place / "stopped" / "weights.safetensors") for place in (folder, RUNS.parent / "right")]
    if arguments[0] == "train" and weights[0].read_bytes() != weights[1].read_bytes():
        raise Failed(f"{title}: it went on to other weights")
    return "runs read rightly"


def _make_runs(folder: Path) -> None:
    """Make a finished run and a stopped one, and finish a copy of the latter."""
    small = ["--hidden-size=3", "--bits=4", "--batch-size=6", "--steps=9", "--quiet"]
    os.chdir(folder / "runs")
    main([*small, "--out=done"])
    advance = running.Progress.update

    def stop(self: Any, task: Any, **more: Any) -> None:
        advance(self, task, **more)
        if self.tasks[0].completed == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    running.Progress.update = stop
    main([*small, "--checkpoint-every=2", "--out=stopped"])
    running.Progress.update = advance
    shutil.copytree(folder / "runs", folder / "right")
    os.chdir(folder / "right")
    main(["train", "--resume", "stopped", "--quiet"])


def _derivation(rng: random.Random, folder: Path) -> str:
    """Damage a derivation, and check it."""
    cell = rng.choice(["lstm", "gru", "rnn"])
    right = derived.write(folder / "right.py", cell)
    path = folder / "mine.py"
    source = right.read_text()
    if rng.random() < 0.6:
        mutant = rng.choice(mutants(source, rng))
        path.write_text(mutant.source)
        title = f"{cell}: line {mutant.line}: {mutant.change}"
    else:
        damage = rng.choice(TEXT_DAMAGES)
        path.write_bytes(damage(rng, source.encode()))
        title = f"{cell}: {damage.__name__[1:]}"

    def task() -> tuple[str, str]:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                report = check_file(path, seed=rng.randrange(1000))
            except BaseException as error:
                frames = traceback.extract_tb(error.__traceback__)
                is_own = any(frame.filename == str(path) for frame in frames) or isinstance(error, SyntaxError)
                return ("refused" if is_own or isinstance(error, ValueError) else "FAILED"), traceback.format_exc()
            return ("agrees" if report.agrees else "disagrees"), ""

    verdict, said = in_child(task, seconds=60)
    if verdict == "FAILED":
        raise Failed(f"{title}: {said}")
    if verdict == "agrees":
        error = in_child(lambda: _distance(path, right, cell), seconds=60)
        if error > 1e-10:
            raise Failed(f"{title}: agrees, but is off by {error:.1e}")
        return "derivations agree, and rightly"
    return "derivations refused" if verdict == "refused" else "derivations disagree"


def _distance(path: Path, right: Path, cell: str) -> float:
    """Return the largest difference between the results of two derivations, at other sizes than those of the check."""
    numbers = np.random.default_rng(5)
    T, B, D, H = 7, 4, 5, 3

    def normal(*shape: int) -> Any:
        return numbers.normal(size=shape)

    gates = {"lstm": "ifgo", "gru": "rzn", "rnn": ""}[cell]
    ends = [f"_{gate}" for gate in gates] or [""]
    p = {f"weight_ih{end}": normal(D, H) for end in ends} | {f"weight_hh{end}": normal(H, H) for end in ends}
    kinds = ("bias_ih", "bias_hh") if cell == "gru" else ("bias",)
    p |= {f"{kind}{end}": normal(H) for kind in kinds for end in ends}
    states = 2 if cell == "lstm" else 1
    inputs, d_outputs = [normal(T, B, D)], [normal(T, B, H)]
    inputs += [normal(B, H) for _ in range(states)]
    d_outputs += [normal(B, H) for _ in range(states)]
    results = []
    for file in (path, right):
        module = load(file)
        probe: Any = lambda name, value, *more, **named: value  # noqa: E731
        if "probe" in module.forward.__code__.co_varnames:
            probe = lambda name, t, value: value  # noqa: E731
        *outputs, tape = module.forward(p, *inputs, probe=probe)
        *d_inputs, gradients = module.backward(p, tape, *d_outputs, probe=probe)
        results.append([*outputs, *d_inputs, *(gradients[name] for name in sorted(gradients))])
    return float(max(np.abs(a - b).max() for a, b in zip(*results, strict=True)))


def _line_left_out(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _lines_swapped(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    k = rng.randrange(len(lines) - 1)
    lines[k], lines[k + 1] = lines[k + 1], lines[k]
    return b"".join(lines)


TEXT_DAMAGES: list[Damage] = [_line_left_out, _lines_swapped, _flipped, _cut, _longer, _holed, _random, _line_left_out]


if __name__ == "__main__":
    torch.set_num_threads(1)
    files.import_module("compare.frameworks.files.keras_layer").import_keras()  # before the processes are forked
    files.import_module("compare.frameworks.files.onnx_layer")
    sys.stdout.reconfigure(line_buffering=True)
    with TemporaryDirectory() as place:
        RUNS = Path(place) / "runs"
        RUNS.mkdir()
        in_child(lambda: _make_runs(RUNS.parent), seconds=100)
        soak(trial)
