"""The command line: ``python -m compare``.

Only the module of the chosen command is imported, so that ``--help`` need not wait for torch.
"""

import argparse
import os
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

from compare.commands import AGREE, BAD_INPUT, COMMANDS, DISAGREE, FILE_ERROR, INTERNAL_ERROR, INTERRUPTED
from compare.disagreement import Disagreement

DEFAULT = "train"


class Parser(argparse.ArgumentParser):
    """A parser that reports an error on one line."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, but refuse ``--option=--``, which Python 3.11 takes for an option without a value."""
        for argument in args:
            if argument.startswith("--") and argument.endswith("=--"):
                self.error(f"argument {argument[:-3]}: expected a value, got '--'")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments and exit."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """A formatter that shows defaults as one types them, but not the None and False of options that are off."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: what follows ``python -m compare``; ``sys.argv[1:]`` if None.

    Returns:
        The exit status: 0 if the sides agree, 1 if they do not, 2 for bad input, 3 for an internal error, 4 if a file
        cannot be read or written (a full disk, say), 5 if too much could not be judged, 130 after an interrupt.

    Raises:
        SystemExit: a command's own help was asked for, or its arguments are wrong; the code is the exit status.
    """
    os.environ["MPLBACKEND"] = "agg"  # figures are files; matplotlib would refuse a backend that it lacks
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every encoding has σ
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["-h"], ["--help"]):
        print(_help())
        return AGREE
    name, *rest = given if given and not given[0].startswith("-") else [DEFAULT, *given]
    try:
        if name not in COMMANDS:
            nearest = "".join(f", did you mean {match!r}?" for match in get_close_matches(name, COMMANDS, n=1))
            raise ValueError(f"expected one of the commands {', '.join(COMMANDS)}, got {name!r}{nearest}")
        command = import_module(f"compare.commands.{name}")
        parser = Parser(f"python -m compare {name}", formatter_class=HelpFormatter)
        command.arguments(parser)
        status: int = command.run(parser.parse_args(rest))
    except ValueError as error:
        print(f"python -m compare: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"python -m compare: {error}", file=sys.stderr)
        return FILE_ERROR
    except Disagreement as verdict:
        print(f"DISAGREE: {verdict}")
        return DISAGREE
    except MemoryError as error:
        print(f"python -m compare: out of memory: {error}", file=sys.stderr)
        return INTERNAL_ERROR
    except KeyboardInterrupt:
        print("python -m compare: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return INTERNAL_ERROR
    return status


def _help() -> str:
    """List the commands."""
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(
        [
            "usage: python -m compare [COMMAND] [OPTION ...]",
            "",
            "Compare hand-derived recurrent layers with autograd.",
            "",
            "commands:",
            *(f"  {name:<{width}}{summary}" for name, summary in COMMANDS.items()),
            "",
            f"Without a command it is {DEFAULT}. `python -m compare {DEFAULT} --help` lists its options.",
        ]
    )
