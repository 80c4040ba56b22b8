"""The tries in the record of a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.record import SCORES, TRIES, tries_column
from pipelines.score_values import row_scores

Record = dict[str, Any]


def tries_of(record: Record) -> list[Record]:
    """Return the tries of a record; a row that was drawn once has no list of them.

    `uso score` may have measured the kept image after its try was recorded.
    """
    kept, *others = record.get(TRIES) or [as_try(0, record["seed"], None)]
    return [{**kept, "scores": {**kept["scores"], **row_scores(record.get(SCORES))}}, *others]


def score_of(one_try: Record, name: str) -> float:
    """Return a score of a try; NaN if it has none of this name."""
    value = one_try["scores"].get(name)
    return float("nan") if value is None else float(value)


def as_try(number: int, seed: int, images: Sequence[Any] | None) -> Record:
    """Return a try.

    Args:
        number: 0 for the first one of the row.
        seed: seed of its first image.
        images: the scores of each image.
    """
    return {"number": number, "seed": seed, "scores": row_scores(images)}


def with_tries(batch: pa.RecordBatch, tries: list[Record], created_at: datetime) -> pa.RecordBatch:
    """Return the record with other tries and another time."""
    names = dict.fromkeys(name for each in tries for name in each["scores"])
    column = tries_column(list(names))
    made = {
        column: pa.array([tries], column.type),
        batch.schema.field("created_at"): pa.array([created_at], batch["created_at"].type),
    }
    others = {
        each: batch[each.name]
        for each in batch.schema
        if each.name not in {known.name for known in made}
    }
    columns = {**others, **made}
    return pa.RecordBatch.from_arrays([*columns.values()], schema=pa.schema([*columns]))
