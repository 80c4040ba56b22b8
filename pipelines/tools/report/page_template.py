"""Templates of pages: all text is escaped, and a name without a value is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(package: str, name: str, **filters: Callable[..., Any]) -> Template:
    """Return a template of the folder `templates` of a package.

    Args:
        package: the package, e.g. `pipelines.tools.report`.
        name: the template's file.
        filters: its filters, by name.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
