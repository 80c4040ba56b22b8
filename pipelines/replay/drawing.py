"""Draws rows again with the workers of a pool: the code with which a run draws them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.feeder import RowFeeder, ValidRows
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.dispatch.workers import WorkerPool
from pipelines.handling import Handling
from pipelines.record import missing_value
from pipelines.replay.differences import Difference
from pipelines.replay.inline import with_inline
from pipelines.replay.judge import Judge
from pipelines.replay.recorded_row import RecordedRows, inline_hashes
from pipelines.replay.verdict import Verdict
from pipelines.rows import Entry, ManifestEntry, Reference

_STEP_S = 0.25
_AHEAD = 64
_GRACE_S = 60  # for the rows on workers, once no more are to be drawn
_AT_ONCE = 1024  # rows whose inline images are looked for in one pass over the manifest

Record = dict[str, Any]
FindInline = Callable[[Sequence[str]], Mapping[str, Reference]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws the rows of one run again.

    Attributes:
        rows: makes rows of records.
        judge: judges the images.
        find_inline: returns inline images by hash, as far as they can be found.
        handling: the place of the new images; None: the folder of the workers.
        stopped: True once no more rows are to be drawn.
    """

    rows: RecordedRows
    judge: Judge
    find_inline: FindInline
    handling: Handling | None = None
    stopped: Callable[[], bool] = lambda: False

    def verdicts(
        self, records: Iterator[Record], pool: WorkerPool, policy: DispatchPolicy
    ) -> Iterator[Verdict]:
        """Yield a verdict for each record, in any order.

        Args:
            records: completed records of the run.
            pool: the workers.
            policy: attempts and time-outs.

        Raises:
            WorkersFailedError: the workers do not start.
            LedgerError, StorageError: records or images cannot be read.
        """
        not_drawn: deque[Verdict] = deque()
        with closing(RowFeeder(self._entries(records, not_drawn), ahead=_AHEAD)) as feeder:
            give_up_at: float | None = None
            dispatcher = Dispatcher(pool, ValidRows(feeder, lambda _entry, _row: None), policy)
            while not dispatcher.done:
                for settled in dispatcher.step(_STEP_S):
                    yield self._verdict(settled)
                if give_up_at is None and self.stopped():
                    dispatcher.drain()
                    give_up_at = time.monotonic() + _GRACE_S
                if give_up_at is not None and time.monotonic() > give_up_at:
                    break
            while not_drawn:
                yield not_drawn.popleft()

    def _entries(
        self, records: Iterator[Record], not_drawn: deque[Verdict]
    ) -> Iterator[Sequence[ManifestEntry]]:
        while some := [*islice(records, _AT_ONCE)]:
            not_drawn += [_incomplete(record, name) for record, name in _lacking(some)]
            whole = (record for record in some if missing_value(record) is None)
            made = [(record, self.rows.row(record)) for record in whole]
            hashes = sorted({each for _, one in made for each in inline_hashes(one.row)})
            images = self.find_inline(hashes)
            for record, one in made:
                row = with_inline(one.row, images)
                if isinstance(row, str):
                    not_drawn.append(_without_inline(record, row))
                    continue
                extra = {"record": record, "is_sure": one.is_sure}
                yield [Entry(replace(row, handling=self.handling), extra)]

    def _verdict(self, settled: Settled) -> Verdict:
        extra, outcome = settled.entry.extra, settled.outcome
        verdict = self.judge.verdict(extra["record"], outcome, is_sure=extra["is_sure"])
        self.judge.clear(outcome)
        return verdict


def _lacking(records: Sequence[Record]) -> Iterator[tuple[Record, str]]:
    for record in records:
        if name := missing_value(record):
            yield record, name


def _incomplete(record: Record, name: str) -> Verdict:
    message = f"{name}: the record has no value, which no run writes; see uso verify"
    return Verdict(record["id"], "different", [Difference("record", name, message)])


def _without_inline(record: Record, shown: str) -> Verdict:
    message = f"inline image {shown[:19]}…: it is in the manifest alone, and not found there"
    return Verdict(record["id"], "different", [Difference("reference_gone", "inline", message)])
