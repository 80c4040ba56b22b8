"""Further tries of rows whose image has a poor score: a source of rows after those of the manifest.

A try is recorded as soon as it is drawn. A row keeps its record, unless the try is better: then its
image is stored under the same name, and the record is that of the try, with all tries so far.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.checks.overwritten import settle_overwritten
from pipelines.dispatch.feeder import RowFeeder, ValidRows
from pipelines.dispatch.tasks import Settled
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.record_tries import Record, as_try, score_of, tries_of, with_tries
from pipelines.driver.schedule import RecordedTries, Rule, rows_to_try
from pipelines.ledger.records import Records, all_records, completed
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.row_identity import seed_of_try
from pipelines.record import SCORES, TRIES
from pipelines.rows import AnotherTry, Entry, ManifestEntry, ManifestRow
from pipelines.storage.storage import Storage
from pipelines.worker.scores.plugin import deciding_scorer

logger = logging.getLogger(__name__)

_COLUMNS = ("id", "status", "outputs", "seed", "fingerprint", SCORES, TRIES)


@dataclass(slots=True)
class _Round:
    """The rows of one round.

    Attributes:
        tries: the next try of each row, by its id.
        records: the records of these rows, one in each batch.
    """

    tries: dict[str, AnotherTry]
    records: dict[str, pa.RecordBatch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retried:
    """A row that was tried again.

    Attributes:
        tries: all its tries, the kept one first.
        record: the new record of a row whose image stays; None: the new image is better.
        replaced: the record that the try replaces.
    """

    tries: list[Record]
    record: pa.RecordBatch | None
    replaced: Record


class Rounds:
    """The rows of a manifest, and then their further tries; a `RowSource`.

    Not thread-safe.
    """

    def __init__(
        self,
        first: ValidRows,
        manifest: Manifest,
        output: Storage,
        rule: Rule,
        *,
        flush: Callable[[], None],
        ahead: int,
    ) -> None:
        """Begin with the rows of `first`.

        Args:
            first: the rows of the manifest that have no record yet.
            manifest: the manifest, which is read again for each round.
            output: the output with the records.
            rule: the rule of the tries.
            flush: writes all records; called before they are read.
            ahead: most rows to read ahead.
        """
        self._rows = first
        self._manifest = manifest
        self._output = output
        self._rule = rule
        self._flush = flush
        self._ahead = ahead
        self._feeder: RowFeeder | None = None
        self._unsettled = 0
        self._round: _Round | None = None
        self._given_up: set[str] = set()
        self._fingerprints: dict[str, str] | None = None
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """True when every row and every try has been taken."""
        return self._ended

    @property
    def is_trying_again(self) -> bool:
        """True once the rows of the manifest are done."""
        return self._round is not None

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` rows; none while a round has tries that are not settled."""
        taken = self._rows.take(most)
        self._unsettled += len(taken)
        if not taken and most > 0:
            self._go_on()
        return taken

    def look_ahead(self) -> bool:
        """Return True if a row is ready."""
        if not self._rows.look_ahead():
            self._go_on()
        return self._rows.look_ahead()

    def settled(self, row: ManifestRow, settled: Settled, created_at: datetime) -> Retried | None:
        """Note that a row has settled.

        Returns:
            The tries of a row that was tried again; None for a first try, and for a failed one.
        """
        self._unsettled -= 1
        outcome, another = settled.outcome, row.another_try
        if another is None:
            return None
        assert self._round is not None
        batch = self._round.records.pop(row.id)
        if outcome.failure is not None:
            self._given_up.add(row.id)
            logger.warning("try_failed row_id=%s reason=%s", row.id, outcome.failure.message)
            return None
        new = as_try(another.number, row.parameters.seed, outcome.image_values[SCORES])
        replaced: Record = batch.to_pylist()[0]
        kept, *others = tries_of(replaced)
        first, *rest = (kept, new) if outcome.is_beaten else (new, kept)
        tries = [first, *sorted([*rest, *others], key=lambda each: int(each["number"]))]
        if not outcome.is_beaten:
            return Retried(tries, None, replaced)
        return Retried(tries, with_tries(batch, tries, created_at), replaced)

    def close(self) -> None:
        """End the thread that reads ahead."""
        if self._feeder is not None:
            self._feeder.close()

    def _go_on(self) -> None:
        """Begin the next round, once all rows of this one have settled."""
        if self._ended or self._unsettled or not self._rows.exhausted:
            return
        self.close()
        if self._round is not None:  # their rows are no longer in the manifest
            self._given_up.update(self._round.records)
        self._flush()
        settle_overwritten(self._output, partial(all_records, self._output))
        self._round = self._next_round()
        if not self._round.tries:
            self._ended = True
            return
        self._feeder = RowFeeder(self._batches(self._round), ahead=self._ahead)
        self._rows = ValidRows(self._feeder, lambda _entry, _row: None)

    def _next_round(self) -> _Round:
        records = Records(self._output)
        found = _Round({})
        if SCORES not in records.schema.names:
            return found
        ids, tries = self._recorded(records)
        given_up = np.array([row_id in self._given_up for row_id in ids], bool)
        lower = self._rule.lower_is_better
        for row in rows_to_try(tries, self._rule, given_up).tolist():
            best, number = float(tries.kept[row]), int(tries.drawn[row])
            found.tries[ids[row]] = AnotherTry(number, self._rule.by, lower, best)
        if found.tries:
            wanted = pa.array(list(found.tries), pa.string())
            for batch in records.batches():
                kept = batch.filter(pc.is_in(batch["id"], wanted))
                for place, row_id in enumerate(kept["id"].to_pylist()):
                    found.records[row_id] = kept.slice(place, 1)
            logger.info("tries_begin rows=%d", len(found.tries))
        return found

    def _recorded(self, records: Records) -> tuple[list[str], RecordedTries]:
        """Return the ids of the completed rows, sorted, and their tries.

        Rows that are not in this run, or that it would draw with other settings, count for the
        budget, but have no scores: they get no try.
        """
        ours = self._ours()
        columns = [name for name in _COLUMNS if name in records.schema.names]
        rows: list[tuple[str, int, int, float, list[float]]] = []
        for batch in records.batches(columns):
            for record in completed(batch).to_pylist():
                row_id, tries = record["id"], tries_of(record)
                kept, values = float("nan"), [float("nan")]
                if ours.get(row_id) == record["fingerprint"]:
                    kept = score_of(tries[0], self._rule.by)
                    tries.sort(key=lambda each: int(each["number"]))
                    values = [score_of(each, self._rule.by) for each in tries[: self._rule.n]]
                rows.append((row_id, len(tries), len(record["outputs"]), kept, values))
        rows.sort()
        matrix = np.full((len(rows), self._rule.n), np.nan)
        for row, (*_, values) in enumerate(rows):
            matrix[row, : len(values)] = values
        drawn = np.array([row[1] for row in rows], np.int64)
        images = np.array([row[2] for row in rows], np.int64)
        kept_scores = np.array([row[3] for row in rows], np.float64)
        return [row[0] for row in rows], RecordedTries(matrix, kept_scores, drawn, images)

    def _ours(self) -> dict[str, str]:
        """Return the fingerprint of each valid row of this run, by id."""
        if self._fingerprints is None:
            self._fingerprints = {
                entry.row.id: entry.row.fingerprint
                for batch in self._manifest.batches()
                for entry in batch.entries
                if isinstance(entry.row, ManifestRow)
            }
        return self._fingerprints

    def _batches(self, wanted: _Round) -> Iterator[Sequence[ManifestEntry]]:
        for batch in self._manifest.batches():
            yield [
                again
                for entry in batch.entries
                if (again := _again(entry, wanted.tries.get(entry.row.id))) is not None
            ]


def further_tries(
    prepared: PreparedRun, first: ValidRows, flush: Callable[[], None], ahead: int
) -> Rounds | None:
    """Return the rows of a run and their further tries; None without `best_of`.

    Raises:
        ConfigError: its score cannot decide.
    """
    best_of = prepared.config.best_of
    if best_of is None:
        return None
    by = deciding_scorer(prepared.config)
    rule = Rule(by.name, best_of.n, by.better == "lower", best_of.until, best_of.max_extra)
    manifest, output = prepared.manifest, prepared.output
    return Rounds(first, manifest, output, rule, flush=flush, ahead=ahead)


def _again(entry: ManifestEntry, another: AnotherTry | None) -> ManifestEntry | None:
    """Return a row with the seed of its next try."""
    row = entry.row
    if another is None or not isinstance(row, ManifestRow):
        return None
    numbers = row.parameters
    seed = seed_of_try(numbers.seed, another.number, numbers.num_images)
    parameters = replace(numbers, seed=seed)
    return replace(entry, row=replace(row, parameters=parameters, another_try=another))
