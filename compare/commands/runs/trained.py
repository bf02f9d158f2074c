"""The trained network of a run, as ``add`` and ``page`` read it back from the run's folder."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from compare.converter import load
from compare.lockstep.adding import Adding
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.run_folder import SUMMARY, WEIGHTS
from compare.lockstep.settings import Settings
from compare.published.recipe_training import FromRecipe
from compare.published.recipes import RECIPES
from compare.published.tasks import Addition


def trained(argument: str, folder: Path) -> tuple[Lockstep, dict[str, Any]]:
    """Return both sides with the weights of a run on binary addition, and its summary; a ValueError if it is none."""
    try:
        if not (folder / SUMMARY).is_file():  # reading a named pipe would never end
            raise FileNotFoundError
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        recipe = RECIPES.get(summary.get("name"))
        if recipe:
            recipe = replace(recipe.with_units(summary["hidden_size"]), gradient=tuple(summary["gradient"]))
            lockstep = FromRecipe(recipe).set_up()
        else:
            asked = {field.name: summary[field.name] for field in fields(Settings)}
            settings = Settings(**asked | {"against": "torch", "device": "cpu", "engine": "numpy"})
            lockstep = Adding(settings).set_up()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{argument}: expected the folder of a run, got {folder}") from None
    if recipe and not isinstance(recipe.task, Addition):
        raise ValueError(f"{argument}: expected a run on binary addition, got the recipe {recipe.name}")
    if not (folder / WEIGHTS).is_file():
        raise ValueError(f"{argument}: expected a folder with {WEIGHTS}, got {folder}")
    model = lockstep.manual.model
    load(folder / WEIGHTS, model, model.recurrent.kernel.gates)
    lockstep.autograd.follow(lockstep.manual)
    return lockstep, summary
