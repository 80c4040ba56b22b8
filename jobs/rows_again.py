"""The rows of a run that `uso manifest` takes again: failed, low-scoring or chosen ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs import terminal
from jobs.secret_settings import resolved_storage
from pipelines.config.schema import RunConfig
from pipelines.manifest.chosen_ids import ChosenIds, read_ids
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage
from pipelines.tools.compose.chosen import ChosenRows
from pipelines.tools.compose.failed import Failed, failed_rows
from pipelines.tools.compose.low_scores import LowScores, low_scores
from pipelines.tools.compose.pairing import Rows
from pipelines.tools.compose.score_table import ScoreTable
from pipelines.tools.planning.model import inspect_model


@dataclass(frozen=True, slots=True)
class FailedSource:
    """The failed rows of a run.

    Attributes:
        config: the YAML file of the run.
        codes: the failure codes to take; empty: all.
    """

    config: Path
    codes: Sequence[str]


@dataclass(frozen=True, slots=True)
class LowScoreSource:
    """The completed rows of a run that have a low score.

    Attributes:
        config: the YAML file of the run.
        score: the name of the score column.
        below: the bound; rows with a lower score are taken.
        table: a table with the columns `id` and `score`; None: the records hold the scores.
    """

    config: Path
    score: str
    below: float
    table: str | None


@dataclass(frozen=True, slots=True)
class ChosenSource:
    """The rows of a run that someone has chosen.

    Attributes:
        config: the YAML file of the run.
        ids: the file or URL that lists their ids.
        new_seeds: give each row a new seed.
    """

    config: Path
    ids: str
    new_seeds: bool


SourceInRun = FailedSource | LowScoreSource | ChosenSource


@dataclass(frozen=True, slots=True)
class RowsAgain:
    """Rows of a run, and the reason why they were chosen."""

    rows: Rows
    chosen: ChosenRows
    why: Failed | LowScores | ChosenIds
    new_seeds: bool


def rows_again(source: SourceInRun) -> RowsAgain:
    """Find the rows in the records of their run and in its manifest."""
    config = RunConfig.from_yaml(source.config)
    options = resolved_storage(config)
    output = Storage.at(config.output.path, options, patience_s=LOOK_S)
    why: Failed | LowScores | ChosenIds
    new_seeds = isinstance(source, LowScoreSource)
    if isinstance(source, FailedSource):
        why = failed_rows(output, frozenset(source.codes))
    elif isinstance(source, LowScoreSource):
        table = None if source.table is None else ScoreTable(source.table, source.score, options)
        why = low_scores(output, source.score, source.below, table)
    else:
        why, new_seeds = read_ids(source.ids, options, LOOKING), source.new_seeds
        listed = config.manifest.model_copy(update={"ids": source.ids})  # so that all are found
        config = config.model_copy(update={"manifest": listed})
    chosen = ChosenRows(why.ids, new_seeds=new_seeds)
    manifest = Manifest.open(config, inspect_model(config.model, options).card, LOOKING)
    return RowsAgain(chosen.rows(manifest), chosen, why, new_seeds)


def facts_of(again: RowsAgain) -> dict[str, Any]:
    """Return what `--json` says about the choice."""
    facts = {"not_accepted": again.chosen.not_accepted}
    if isinstance(again.why, Failed):
        return facts | {"failed_by_code": dict(again.why.by_code)}
    if isinstance(again.why, ChosenIds):
        return facts | {"chosen": len(again.why.ids)}
    return facts | {"scored": again.why.scored, "unscored": again.why.unscored}


def print_again(again: RowsAgain, console: Console) -> None:
    """Print the reason of the choice, and the rows that it leaves out."""
    why = again.why
    if isinstance(why, Failed):
        codes = ", ".join(f"{count:,} {code}" for code, count in why.by_code.items())
        console.print(f"failed     {codes}")
    elif isinstance(why, ChosenIds):
        console.print(
            f"chosen     {len(why.ids):,} ids of {terminal.one_line(why.uri)}", soft_wrap=True
        )
    else:
        console.print(f"low        {len(why.ids):,} of {why.scored:,} completed rows with a score")
        if why.unscored:
            console.print(f"left out   {why.unscored:,} completed rows without a score")
    if again.new_seeds:
        console.print("seeds      new, so that the images differ")
    if again.chosen.not_accepted:
        console.print(
            f"left out   {again.chosen.not_accepted:,} invalid rows (invalid_request): "
            "correct them in the manifest of the run"
        )
