"""Means of the scores of an output."""

from __future__ import annotations

from pipelines.ledger.records import Records
from pipelines.record import SCORES, columns_of_run
from pipelines.score_values import ScoreMeans


def mean_scores(records: Records) -> dict[str, float | None]:
    """Return the mean of each score over all images; reads one column, and none without scores.

    Raises:
        LedgerError, StorageError: see `Records.batches`.
    """
    means = ScoreMeans()
    if SCORES in columns_of_run(records.schema):
        for batch in records.batches([SCORES]):
            means.add(batch[SCORES].flatten().to_pylist())
    return means.by_name
