"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The run's YAML file.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one key of the configuration, e.g. stylize.actors=4. Repeatable.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Read only the first so many rows.", show_default=False),
]
Output = Annotated[
    str,
    typer.Argument(metavar="OUTPUT", help="The output folder or URL of a run.", show_default=False),
]
StorageConfig = Annotated[
    Path | None,
    typer.Option("--config", help="Take the storage options of this file.", show_default=False),
]


def with_limit(overrides: list[str] | None, limit: int | None) -> list[str]:
    """What `--set` and `--limit` override, together."""
    return [*(overrides or []), *([] if limit is None else [f"manifest.limit={limit}"])]
