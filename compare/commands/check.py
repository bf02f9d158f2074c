"""``check``: a user's own derivation against autograd."""

import argparse
import gc
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from compare.bounds import check_at_least
from compare.checker.derivations.file import file_and_name
from compare.checker.lines.fix import fixed
from compare.checker.process import check_within
from compare.commands import AGREE, DISAGREE, UNDECIDED
from compare.commands.output import add_out, console, make_ready, to_whoever_reads
from compare.files import replacing

#: The largest limit that can be set, in seconds and GiB.
LARGEST = 1e6


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file, and what it is checked against."""
    parser.description = (
        "Compare the derivation in FILE with autograd twice: as it runs, and with the reference substituted at each "
        "probe, so that only the wrong equations differ. `lstm-by-hand new FILE` writes a file to start from. A place "
        "that holds ... is not derived yet: the check goes on with the reference's value. Where there is one, and in a "
        "file with LEARNING = True, a mistake is named, but not its line. "
        "Exit status: 0 the derivation agrees, 1 it does not or is not complete, 5 too much could not be judged, 2 bad "
        "input."
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the derivation, or its folder with forward.m and backward.m"
    )
    parser.add_argument(
        "--reference",
        metavar="FILE:NAME",
        help="the torch module or function to check against, if FILE defines INPUTS rather than CELL",
    )
    parser.add_argument("--cell", help="the cell that FILE derives, if it has no CELL: lstm, gru or rnn")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="time limit for running FILE")
    parser.add_argument("--memory", type=float, default=8.0, metavar="GIB", help="memory limit for running FILE")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random weights and arguments")
    parser.add_argument("--fast", action="store_true", help="check at one size, with one draw of the arguments")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--json", action="store_true", help="print the findings as JSON")
    amount.add_argument(
        "--format", choices=("text", "github"), default="text", help="github: an annotation for each wrong line"
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument(
        "--hint", dest="shown", action="store_const", const="hint", default="", help="say what is wrong with a line"
    )
    told.add_argument(
        "--solution", dest="shown", action="store_const", const="solution", help="show the right line as well"
    )
    parser.add_argument("--watch", action="store_true", help="check again whenever FILE is saved; say what changed")
    parser.add_argument(
        "--train",
        action="store_true",
        help="if a cell agrees, train it on binary addition in lock-step with the reference",
    )
    parser.add_argument("--fix", action="store_true", help="write a copy of FILE with the right lines, NAME_fixed.py")
    parser.add_argument("--in-place", action="store_true", help="with --fix, write them into FILE itself")
    add_out(parser, "folder for check.html and faults.png")


def run(options: argparse.Namespace) -> int:
    """Check the file and report what is wrong."""
    for limit in ("timeout", "memory"):
        if not 0 < getattr(options, limit) <= LARGEST:
            raise ValueError(f"{limit}: expected more than 0 and at most {LARGEST:g}, got {getattr(options, limit):g}")
    check_at_least(options, seed=0)
    if options.train and (options.reference or options.cell or options.json or options.file.is_dir()):
        raise ValueError("train: expected a file with a CELL, checked without --reference, --cell and --json")
    if options.watch and (options.train or options.fix or options.json or options.format != "text"):
        raise ValueError("watch: expected no --train, --fix, --json or --format with it")
    if options.in_place and not options.fix:
        raise ValueError("in-place: expected --fix with it")
    if options.cell and options.reference:
        raise ValueError("cell: expected either --cell or --reference, got both")
    if not (options.file / "forward.m").is_file():
        _require_file("FILE", options.file)
    reference = None
    if options.reference is not None:
        reference = file_and_name(options.reference)
        _require_file("reference", reference[0])
    if options.watch:
        watch(lambda: _once(options, reference), [options.file, *(reference or ())[:1]])
    found = _once(options, reference)
    if options.train and found["verdict"] == "agree":
        return _train(options)
    return {"agree": AGREE, "open": DISAGREE, "disagree": DISAGREE, "undecided": UNDECIDED}[found["verdict"]]


def _once(options: argparse.Namespace, reference: tuple[Path, str] | None) -> dict[str, Any]:
    """Check once, print and draw the report, and return it."""
    out = console()
    limits = options.timeout, options.memory
    shown = "solution" if options.fix else options.shown
    check = partial(_check, cell=options.cell, fast=options.fast, shown=shown)
    drawing = partial(draw, options.file.name)
    checked = check_within(check, drawing, *limits, options.file, reference, options.seed, options.json, out)
    with to_whoever_reads():
        print(json.dumps(checked.found, indent=2) if options.json else checked.text.rstrip("\n"))
        if options.format == "github":
            for fault in checked.found["faults"]:
                print(_annotation(fault, options.file))
            for one in checked.found["misfits"]:
                print(_command(one["file"], one["line"], one["problem"]))
    make_ready(options.out)
    (options.out / "faults.png").unlink(missing_ok=True)  # that of an earlier check
    for name, content in checked.drawn.items():
        with replacing(options.out / name) as beside:
            beside.write_bytes(content)
    words = [f"Drawn in {options.out / 'check.html'}"]
    if options.fix:
        words.append(_fix(options.file, checked.found["faults"], options.in_place))
    if not options.json:
        with to_whoever_reads():
            print("\n".join(words))
    return checked.found


def _check(path: Path, reference: tuple[Path, str] | None, seed: int, **options: Any) -> Any:
    """Check a file in the process that needs torch for it, not in the one that waits."""
    gc.disable()  # in what is imported there is no garbage, and looking for it takes long
    from compare.cells.check import check_file

    gc.freeze()
    gc.enable()
    return check_file(path, reference, seed, **options)


def draw(name: str, report: Any, folder: Path) -> None:
    """Draw the page of a check, and a figure of what is wrong, in the process that has the arrays."""
    from compare.checker.report.quantities import displayed
    from compare.page import check as page

    page.write(name, report.as_json(), displayed(report), folder / "check.html")
    if report.outcome == "disagree":
        report.draw(folder / "faults.png")


def _train(options: argparse.Namespace) -> int:
    """Train the file's cell, and show how that went."""
    from compare.lockstep import report
    from compare.lockstep.own import OwnAdding
    from compare.lockstep.settings import Settings
    from compare.lockstep.training import train

    finished = train(OwnAdding(options.file, Settings(seed=options.seed)))
    with to_whoever_reads():
        report.show(finished, console(), verbose=False)
    return AGREE if finished.agrees else DISAGREE


def _fix(file: Path, faults: list[dict[str, Any]], in_place: bool) -> str:
    """Write the right lines into the file or a copy, or into those of a folder, and say which."""
    files = sorted(file.glob("*.m")) if file.is_dir() else [file]
    found = {one: fixed(one, faults) for one in files}
    if not any(lines for _, lines in found.values()):
        return "Nothing to fix: no line is known that makes everything agree"
    where = file if in_place else file.with_name(f"{file.stem}_fixed{file.suffix}")
    if file.is_dir() and not in_place:
        shutil.copytree(file, where, dirs_exist_ok=True)
    said = []
    for one, (content, lines) in found.items():
        if lines:
            to = where / one.name if file.is_dir() else where
            with replacing(to) as beside:
                beside.write_bytes(content)
                beside.chmod(one.stat().st_mode)
            said.append(f"Fixed in {to}: line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}")
    return "\n".join(said)


def _annotation(fault: dict[str, Any], file: Path) -> str:
    """Return what GitHub Actions shows at the line of a fault; a line that is not known is the first."""
    name = f"({fault['equation']}) {fault['label']}" if fault["equation"] else fault["label"]
    words = [f"{name} is wrong", fault["problem"] or f"got {fault['actual']}, expected {fault['expected']}"]
    words += [f"should be: {fault['repair']}"] if fault.get("repair") else []
    return _command(fault["file"] or file, fault["line"] or 1, "; ".join(words))


def _command(file: Path | str, line: int, text: str) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error file={file},line={line}::{text}"


def _require_file(argument: str, path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{argument}: expected a file, but {path} is a directory")
    if not path.exists():
        raise ValueError(f"{argument}: no such file: {path}")
    if path.suffix in (".json", ".npz", ".safetensors", ".pt", ".ipynb", ".csv", ".txt", ".md"):
        raise ValueError(f"{argument}: expected a Python file, got {path}")


#: How long to wait between two looks at the files, in seconds.
INTERVAL = 0.2


def watch(check: Callable[[], Mapping[str, Any]], files: Iterable[Path]) -> None:
    """Check until interrupted. What cannot be checked is said, and waits for the next save."""
    files, before = list(files), None
    while True:
        saved = _saved(files)
        try:
            found = check()
        except ValueError as error:
            with to_whoever_reads():
                print(error)
        else:
            if before is not None:
                with to_whoever_reads():
                    print(changes(before, found))
            before = found
        while _saved(files) == saved:
            time.sleep(INTERVAL)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say what changed from one report to the next: each equation that is right, wrong or open, and was not before."""
    states = [{title: state for state in ("right", "open", "wrong") for title in one[state]} for one in (before, now)]
    changed: dict[str, list[str]] = {}
    for title, state in states[1].items():
        if states[0].get(title) != state:
            changed.setdefault(state, []).append(title)
    return "; ".join(f"Now {state}: {', '.join(titles)}" for state, titles in changed.items()) or "Nothing changed"


def _saved(files: list[Path]) -> list[tuple[int, int] | None]:
    """Return when each file was saved last, and its size; an editor may take it away for a moment."""
    return [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]
