"""Finds the completed rows of a run with a low score, in their records or in another table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import ComposeError
from pipelines.image_values import is_per_image, lowest
from pipelines.ledger.records import Records, completed
from pipelines.storage.storage import Storage
from pipelines.tools.compose.score_table import ScoreTable, is_number

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LowScores:
    """The completed rows of one output with a score below a bound.

    Attributes:
        ids: the ids of the rows.
        scored: the number of completed rows with a score.
        unscored: the number of completed rows without one, or with NaN; they do not count as low.
    """

    ids: frozenset[str]
    scored: int
    unscored: int


def low_scores(
    output: Storage, column: str, below: float, table: ScoreTable | None = None
) -> LowScores:
    """Read the records of an output for the rows with a low score.

    Args:
        output: the output of the run.
        column: the column of the records with the score; with a table, its name in messages. If it
            has a score for each image, the row's score is the lowest one.
        below: the bound; rows with a lower score are selected.
        table: the table of the scores; None if the records have them.

    Raises:
        ComposeError: the records have no such column, it does not hold numbers, or no score is
            below the bound.
        LedgerError, StorageError: the records cannot be read.
    """
    records = Records(output)
    batches = _recorded(output, records, column) if table is None else _looked_up(records, table)
    ids: set[str] = set()
    scored = unscored = 0
    for row_ids, scores in batches:
        absent = int(np.isnan(scores).sum())
        unscored += absent
        scored += len(scores) - absent
        ids.update(row_ids[at] for at in np.flatnonzero(scores < below).tolist())
    if not ids:
        raise ComposeError(
            f"{output.uri()}: no completed row has {column!r} below {below:g} ({scored:,} have "
            f"a score, {unscored:,} have none), so there is nothing to write"
        )
    return LowScores(frozenset(ids), scored, unscored)


def _recorded(output: Storage, records: Records, column: str) -> Iterator[tuple[list[str], Scores]]:
    per_image = {field.name for field in records.schema if is_per_image(field)}
    types = {f.name: f.type.value_type if is_per_image(f) else f.type for f in records.schema}
    numbers = [name for name, type_ in types.items() if is_number(type_)]
    advice = f"numbers are {', '.join(numbers)}; or name a table of scores with --scores"
    if column not in records.schema.names:
        raise ComposeError(f"{output.uri()}: the records have no column {column!r}; {advice}")
    kind = records.schema.field(column).type
    if column not in numbers:
        raise ComposeError(
            f"{output.uri()}: the records' column {column!r} is {kind}, and a score is a number; "
            f"{advice}"
        )
    for batch in records.batches(("id", "status", column)):
        done = completed(batch)
        scores = done[column]
        if column in per_image:
            scores = pa.array(map(lowest, scores.to_pylist()), pa.float64())
        scores = scores.cast(pa.float64(), safe=False).fill_null(float("nan"))
        yield done["id"].to_pylist(), scores.to_numpy(zero_copy_only=False)


def _looked_up(records: Records, table: ScoreTable) -> Iterator[tuple[list[str], Scores]]:
    for batch in records.batches(("id", "status")):
        row_ids = completed(batch)["id"].to_pylist()
        yield row_ids, table.of(row_ids)
