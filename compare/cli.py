"""The command line: ``lstm-by-hand``, or ``python -m compare``.

Only the module of the chosen command is imported, so that ``--help`` need not wait for torch.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from compare import __version__
from compare.commands import AGREE, BAD_INPUT, COMMANDS, DISAGREE, FILE_ERROR, GROUPS, INTERNAL_ERROR, INTERRUPTED

DEFAULT = "train"


class Parser(argparse.ArgumentParser):
    """A parser that reports an error on one line."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, but refuse ``--option=--``, which Python 3.11 takes for an option without a value, and name typos."""
        for argument in args:
            if argument.startswith("--") and argument.endswith("=--"):
                self.error(f"argument {argument[:-3]}: expected a value, got '--'")
            name, options = argument.partition("=")[0], self._option_string_actions
            if name[:2] == "--" and not any(option.startswith(name) for option in options) and nearest(name, options):
                self.error(f"unrecognized arguments: {name}{nearest(name, options)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the arguments and exit."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return what to add to a message about an unknown name: the known one that was meant, or nothing."""
    return "".join(f", did you mean {match!r}?" for match in get_close_matches(name, list(names), n=1))


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """A formatter that shows defaults as one types them, but not the None and False of options that are off."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def program(name: str = "lstm-by-hand") -> int:
    """Run the command that this process, called ``name`` in its messages, was started with; return the exit status."""
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller, and the next file would take its place
            setattr(sys, stream, Path(os.devnull).open("r+"))  # noqa: SIM115 - until the end
    status = main(name=name)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on; the exit status still says what came out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def main(arguments: list[str] | None = None, name: str = "python -m compare") -> int:
    """Run a command.

    Args:
        arguments: what follows the name of the program; ``sys.argv[1:]`` if None.
        name: what the program is called in its messages.

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
        print(_help(name))
        return AGREE
    if given == ["--version"]:
        print(f"lstm-by-hand {__version__}")
        return AGREE
    chosen, *rest = given if given and not given[0].startswith("-") else [DEFAULT, *given]
    try:
        if chosen not in COMMANDS:
            meant = nearest(chosen, COMMANDS)
            raise ValueError(f"expected one of the commands {', '.join(COMMANDS)}, got {chosen!r}{meant}")
        command = import_module(f"compare.commands.{chosen}")
        parser = Parser(f"{name} {chosen}", formatter_class=HelpFormatter)
        command.arguments(parser)
        status: int = command.run(parser.parse_args(rest))
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return FILE_ERROR
    except MemoryError as error:
        print(f"{name}: out of memory: {error}", file=sys.stderr)
        return INTERNAL_ERROR
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, import_module("compare.agreement").Disagreement):  # not imported before, for --help
            print(f"DISAGREE: {error}")
            return DISAGREE
        traceback.print_exc()
        return INTERNAL_ERROR
    return status


def _help(name: str) -> str:
    """List the commands."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"usage: {name} [COMMAND] [OPTION ...]", "", "Is a backward pass that was derived by hand right?", ""]
    for group, commands in GROUPS.items():
        lines += [f"{group}:", *(f"  {command:<{width}}{summary}" for command, summary in commands.items()), ""]
    return "\n".join([*lines, f"Without a command it is {DEFAULT}. `{name} COMMAND --help` lists a command's options."])
