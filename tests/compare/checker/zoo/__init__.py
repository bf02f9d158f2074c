"""Derivations of all kinds, for the checker to judge: right code, and mistakes that people make in it."""

from pathlib import Path

from zoo import (
    attentions,
    convolutions,
    feedforward,
    functions,
    linear_recurrences,
    losses,
    lstms,
    normalisation,
    recurrences,
    scans,
    sparse_recurrences,
)
from zoo.specimen import FileSpecimen, Specimen

FAMILIES = (
    *(lstms, recurrences, sparse_recurrences, feedforward),
    *(normalisation, attentions, convolutions, scans, linear_recurrences, losses, functions),
)

#: All of them, by name.
SPECIMENS = {
    name: thing
    for family in FAMILIES
    for name, thing in vars(family).items()
    if isinstance(thing, type) and issubclass(thing, Specimen) and thing.__module__ == family.__name__
} | {path.stem: FileSpecimen(path) for path in sorted((Path(__file__).parent / "files").glob("*.py"))}
