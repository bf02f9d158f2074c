"""The commands of ``python -m compare``, a module each.

Each has ``HELP``, one line; ``arguments(parser)``, which adds its own; and ``run(options)``, which returns the exit
status. A ``ValueError`` that it raises is printed as one line, and the status is that of bad input.
"""

#: Exit statuses.
AGREE, DISAGREE, BAD_INPUT = 0, 1, 2
