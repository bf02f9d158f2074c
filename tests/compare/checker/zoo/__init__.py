"""Derivations of all kinds, for the checker to judge: right code, and mistakes that people make in it."""

from pathlib import Path

from zoo import choices, feedforward, functions, lstms, recurrences, scans
from zoo.specimen import FileSpecimen, Specimen

FAMILIES = (lstms, recurrences, feedforward, choices, scans, functions)

#: All of them, by name.
SPECIMENS = {
    name: thing
    for family in FAMILIES
    for name, thing in vars(family).items()
    if isinstance(thing, type) and issubclass(thing, Specimen) and thing.__module__ == family.__name__
} | {path.stem: FileSpecimen(path) for path in sorted((Path(__file__).parent / "files").glob("*.py"))}
