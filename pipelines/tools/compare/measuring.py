"""Measures scores of stored images, for rows whose records lack them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pipelines.config.inputs import FetchConfig
from pipelines.in_order import in_order
from pipelines.ledger.records import Records
from pipelines.score_values import row_scores
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.tools.compare.sides import Side
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import ChosenScorer
from pipelines.worker.scores.stored import RECORD_COLUMNS, StoredImages

logger = logging.getLogger(__name__)

_THREADS = 4

Progress = Callable[[int, int], None]
"""Called with the number of rows done, and of all."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The number of rows that were measured, and of pictures that could not be read."""

    rows: int
    unread: int


def measure(
    outputs: Sequence[tuple[Storage, Side]],
    ids: Collection[str],
    chosen: tuple[ChosenScorer, ...],
    fetch: FetchConfig,
    options: Options,
    progress: Progress,
) -> Measured:
    """Add the scores that rows lack to the sides; the outputs stay as they are.

    A score that both outputs have by the same measure is not measured by another one.

    Args:
        outputs: A and B.
        ids: the rows to measure.
        chosen: the scores.
        fetch: policy and size limits for reading references.
        options: fsspec options by protocol, secrets resolved.
        progress: see `Progress`.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    scorers = _for(outputs, chosen)
    for _, side in outputs:
        for each in scorers:
            side.expect(each.facts())
    lacking = [
        [i for i in ids if side.lacks(i, [each.facts().name for each in scorers])]
        for _, side in outputs
    ]
    total, done = sum(map(len, lacking)), 0
    if not total:
        return Measured(0, 0)
    images = StoredImages(Scores(scorers), fetch, options)
    with closing(images):
        for (output, side), wanted in zip(outputs, lacking, strict=True):
            for row_id, found in _of_rows(images, output, frozenset(wanted)):
                side.add_scores(row_id, found)
                done += 1
                progress(done, total)
    return Measured(done, images.unread)


def _for(
    outputs: Sequence[tuple[Storage, Side]], chosen: tuple[ChosenScorer, ...]
) -> tuple[ChosenScorer, ...]:
    """Return the scores that can be measured without mixing measures."""

    def agree(each: ChosenScorer) -> bool:
        ours = each.facts()
        known = {side.identity(ours.name) for _, side in outputs}
        return None in known or len(known) > 1 or known == {ours.identity}

    return tuple(filter(agree, chosen))


def _of_rows(
    images: StoredImages, output: Storage, ids: frozenset[str]
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield the scores of rows by id, measured four at a time."""
    records = (
        record
        for batch in Records(output).batches(RECORD_COLUMNS)
        for record in batch.to_pylist()
        if record["id"] in ids
    )

    def measured(record: Mapping[str, Any]) -> tuple[str, dict[str, float | None]]:
        return record["id"], row_scores(images.scores_of(output, record))

    yield from in_order(measured, records, _THREADS)
