"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="The YAML file of the run.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one configuration key, e.g. stylize.actors=4. Repeatable.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Read only the first N rows of the manifest.", show_default=False
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Retry all failed rows, including those whose failure code is not retryable.",
    ),
]
Output = Annotated[
    str,
    typer.Argument(
        metavar="OUTPUT", help="The output of a run: a folder or URL.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
StorageConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="CONFIG",
        help="Use the storage options of this YAML file.",
        show_default=False,
    ),
]


def with_limit(overrides: list[str] | None, limit: int | None) -> list[str]:
    """Return the overrides of `--set`, and that of `--limit` after them."""
    return [*(overrides or []), *([] if limit is None else [f"manifest.limit={limit}"])]
