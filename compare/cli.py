"""The command line: ``python -m compare``."""

import argparse
import sys
from typing import NoReturn

from compare.commands import BAD_INPUT, accuracy, audit, bench, check, new, recipes, score, train

COMMANDS = {
    "train": train,
    "check": check,
    "new": new,
    "accuracy": accuracy,
    "bench": bench,
    "recipes": recipes,
    "audit": audit,
    "score": score,
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and leave."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0 where the sides agree, 1 where they do not, 2 for bad input."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or (given[0] not in COMMANDS and given[0] not in ("-h", "--help")):
        given = ["train", *given]
    options = _parser().parse_args(given)
    try:
        return COMMANDS[options.command].run(options)
    except ValueError as error:
        print(f"python -m compare: {error}", file=sys.stderr)
        return BAD_INPUT


def _parser() -> Parser:
    parser = Parser(prog="python -m compare", description="Hold hand-derived recurrent layers against autograd.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        form = argparse.ArgumentDefaultsHelpFormatter
        command.arguments(commands.add_parser(name, help=command.HELP, formatter_class=form))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "Without a command it is train:\n\n" + commands.choices["train"].format_help()
    return parser
