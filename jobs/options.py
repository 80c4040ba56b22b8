"""Arguments and options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperCommand

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
Ids = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Read only the rows whose ids this file or URL lists, e.g. a choice that the report "
        "has exported: a table with the column id, or text with an id in each line.",
        show_default=False,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Retry all failed rows, including those whose failure code is not retryable.",
    ),
]
CheckImages = Annotated[
    Literal["sizes", "full"] | None,
    typer.Option(
        "--check-images",
        metavar="",
        help="Generate rows again whose images are missing or have another size; with =full, also "
        "rows whose images have another content.",
        show_default=False,
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


class CheckingCommand(TyperCommand):
    """A command whose option `--check-images` may have no value, which typer does not support."""

    # typer keeps the class of contexts that its own method takes private.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments; `--check-images` alone stands for `--check-images=sizes`."""
        named = [f"{arg}=sizes" if arg == "--check-images" else arg for arg in args]
        return super().parse_args(ctx, named)


def run_overrides(
    overrides: Sequence[str] | None,
    limit: int | None,
    ids: str | None,
    *,
    retry_failed: bool,
    check_images: str | None,
) -> list[str]:
    """Return the overrides of `--set`, and those of the other options of a run after them."""
    values = with_part(overrides, limit, ids)
    if retry_failed:
        values.append("on_error.retry_failed=true")
    if check_images is not None:
        values.append(f"output.check_images={check_images}")
    return values


def with_part(
    overrides: Sequence[str] | None, limit: int | None, ids: str | None = None
) -> list[str]:
    """Return the overrides of `--set`, and those of `--limit` and `--ids` after them."""
    values = list(overrides or ())
    if limit is not None:
        values.append(f"manifest.limit={limit}")
    if ids is not None:
        values.append(f"manifest.ids={json.dumps(ids)}")  # text, even if it spells a number
    return values


def references_to_fetch(text: str, option: str) -> str:
    """Return the text if it is `all` or a number of references; reject anything else.

    Args:
        text: the value of an option.
        option: its name, for the message.
    """
    if text != "all" and not (text.isdecimal() and int(text) > 0):
        raise typer.BadParameter("give all, or a number from 1", param_hint=option)
    return text
