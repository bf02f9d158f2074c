"""Render a template to one self-contained HTML file."""

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compare.files import replacing

STATIC = Path(__file__).parent / "static"


def render(template: str, page: Mapping[str, Any], data: Any, path: Path) -> None:
    """Write the page: style sheets and scripts are in it, and ``data`` is in it as JSON for the scripts.

    The template writes out ``page``, whose text is escaped unless it is ``Markup``. The scripts read ``data`` in the
    element with that id: dicts, lists, strings and finite numbers.
    """
    with replacing(path) as beside:
        beside.write_text(_environment().get_template(template).render(page, data=data), encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("compare.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = lambda name: Markup((STATIC / name).read_text(encoding="utf-8"))
    environment.globals["base64"] = lambda name: base64.b64encode((STATIC / name).read_bytes()).decode()
    # The filter tojson also escapes < > & ', so that no text ends the script element that it stands in.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment
