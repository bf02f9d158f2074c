"""Run random trials, each repeatable by its seed, and report how they end.

No test: pytest does not collect these scripts. Run them from the repository's root, e.g.
``python tests/soak/layers.py --count 10000 --seed 0``.
"""

import argparse
import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}


class Failed(Exception):  # noqa: N818 - an outcome, not an error of the script
    """A trial ended as it must not."""


class Hung(BaseException):  # no Exception, since the code under trial might catch it
    """A trial exceeded its time limit."""


def soak(trial: Callable[[int], str], seconds: int = 60) -> NoReturn:
    """Run ``trial(seed)`` for consecutive seeds, print each failure with the command that repeats it, and the figures.

    An interrupt ends the trials; the figures are then of those that have run.

    Args:
        trial: runs one trial and returns how it ended, in a few words; whatever it raises is a failure.
        seconds: the time limit of a trial.
    """
    script = Path(sys.argv[0]).name
    parser = argparse.ArgumentParser(prog=f"python tests/soak/{script}")
    parser.add_argument("--count", type=int, default=100, help="trials (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first trial (default: 0)")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    start = monotonic()
    for seed in range(options.seed, options.seed + options.count):
        signal.alarm(seconds)
        try:
            outcomes[trial(seed)] += 1
        except (Exception, Hung) as error:
            outcomes["FAILED"] += 1
            words = str(error) if isinstance(error, Failed) else traceback.format_exc().rstrip()
            print(f"{words}\n  repeat: python tests/soak/{script} --count 1 --seed {seed}", flush=True)
        except KeyboardInterrupt:
            break
        finally:
            signal.alarm(0)
    figures = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{script}: {outcomes.total():,} trials in {monotonic() - start:.0f} s: {figures}")
    sys.exit(bool(outcomes["FAILED"]))


def in_child(task: Callable[[], Any], seconds: int) -> Any:
    """Return the result of a task, as JSON carries it, from a forked process in a group of its own.

    Raises:
        Failed: the task raised, or ended the process.
        Hung: it exceeded the time limit; then the group is killed.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        child = os.fork()
        if child == 0:
            os.setsid()
            try:
                path.write_text(json.dumps([task(), ""]))
            except BaseException:
                path.write_text(json.dumps([None, traceback.format_exc()]))
            os._exit(0)
        outer = signal.alarm(seconds)
        try:
            os.waitpid(child, 0)
        finally:
            signal.alarm(outer)
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        if not path.exists():
            raise Failed("the process ended without a result")
        result, error = json.loads(path.read_text())
    if error:
        raise Failed(error)
    return result


def _hang(number: int, frame: object) -> NoReturn:
    raise Hung("time limit exceeded")


signal.signal(signal.SIGALRM, _hang)
