"""The options of `uso manifest`, one group for each source of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import typer


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Options for a manifest of images, styles and prompts."""

    PANEL: ClassVar[str] = "Rows from images, styles and prompts"

    content: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Take content images from a file, folder, glob or URL. Repeatable.",
            show_default=False,
        ),
    ] = None
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Take style images from a file, folder, glob or URL. Repeatable.",
            show_default=False,
        ),
    ] = None
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help='Add a prompt; "" keeps the layout of the content image. Repeatable.',
            show_default=False,
        ),
    ] = None
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Add the prompts of a text file, one per line, or of the column prompt of a "
            "table (CSV, JSON Lines, Parquet). A path or URL.",
            show_default=False,
        ),
    ] = None
    pair: Annotated[
        Literal["grid", "zip", "random"],
        typer.Option(
            help="grid: every content image with every style and prompt. zip: the first with the "
            "first, the second with the second. random: every content image with a random choice "
            "of styles."
        ),
    ] = "grid"
    styles_per_content: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="With --pair random: choose N styles per content image."
        ),
    ] = 1
    seed: Annotated[
        int, typer.Option(metavar="N", help="With --pair random: the seed of the choice.")
    ] = 0

    @property
    def given(self) -> bool:
        """True if there is anything to combine."""
        return bool(self.content or self.style or self.prompt or self.prompts)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Options for a manifest from other tables."""

    PANEL: ClassVar[str] = "Rows from a table"

    table: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="TABLE",
            help="Convert a table: CSV, JSON Lines, Parquet or the eval JSON of the original "
            "implementation, a path or URL (hf://datasets/...). Repeatable.",
            show_default=False,
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="With --from or --prompts: map a column, e.g. prompt=caption. Repeatable.",
            show_default=False,
        ),
    ] = None
    base_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="With --from: resolve relative references against this folder or URL.",
            show_default="each file's folder",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Options for a manifest of failed rows."""

    PANEL: ClassVar[str] = "Failed rows of a run"

    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Take the rows that failed in the run of this YAML file.",
            show_default=False,
        ),
    ] = None
    code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="With --failed: take only rows with this failure code. Repeatable.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LowScoring:
    """Options for a manifest of rows with a low score."""

    PANEL: ClassVar[str] = "Low-scoring rows of a run"

    low_scoring: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Take the rows that scored low in the run of this YAML file, with new seeds.",
            show_default=False,
        ),
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="With --low-scoring: the column that holds the score.",
            show_default=False,
        ),
    ] = None
    below: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --low-scoring: take rows that score less than this.",
            show_default=False,
        ),
    ] = None
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="With --low-scoring: read the scores from a table with the columns id and COLUMN: "
            "Parquet, CSV or JSON Lines, a path or URL.",
            show_default="the records of the run",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Options for a manifest of rows that someone has chosen."""

    PANEL: ClassVar[str] = "Chosen rows of a run"

    chosen: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Take the rows with the ids in --ids from the run of this YAML file.",
            show_default=False,
        ),
    ] = None
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --chosen: the ids, e.g. a choice that the report has exported: a table with "
            "the column id, or text with an id in each line, a path or URL.",
            show_default=False,
        ),
    ] = None
    new_seeds: Annotated[
        bool | None,
        typer.Option(
            "--new-seeds",
            help="With --chosen: give each row a new seed, so that its image is another one.",
        ),
    ] = None
