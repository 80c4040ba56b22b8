"""One pass over a few columns of all records: finds the winning records and their states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.editions import Edition
from pipelines.keys.column import Column
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.ledger.counts import FailureExample, LedgerCounts, count_states
from pipelines.ledger.dedup import all_but, winning_rows
from pipelines.ledger.done_groups import DoneGroups, SeenPart, find_done_groups
from pipelines.ledger.examples import closed_examples, examples_of, first_of_each
from pipelines.ledger.left_out import LeftOut, ManifestLook, no_keys, read_left_out
from pipelines.ledger.origins import Origins
from pipelines.ledger.part_columns import PartColumns, read_ahead
from pipelines.ledger.parts import Part, list_parts, unless_vanished
from pipelines.ledger.row_state import STATE_DTYPE, StateCodes, is_completed, states_of
from pipelines.record import EDITION_DIGEST, EDITION_ROW
from pipelines.storage.storage import Storage

SCANNED = (
    "id",
    "status",
    "fingerprint",
    "source_digest",
    "columns_digest",
    "created_at",
    "error.code",
    "error.retryable",
    EDITION_DIGEST,
    EDITION_ROW,
)


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of one pass over the parts.

    Attributes:
        parts: sorted by name.
        num_rows: number of rows of each part.
        origins: the distinct schemas of parts with a winning row or no row, each with the URI of a
            part that has it.
        wins: `[n]`, True for the winning rows (see `dedup`), over all parts in order.
        states: keys of the winning rows, with payloads of `STATE_DTYPE`; without closed records.
        left_out: `[m]`, True for the rows of `states` that do not count, see `LeftOut`.
        closed_by_state: number of closed records in each state, see `done_groups`.
        done: the groups of manifest rows that are done; None: no record is closed.
        latest_us: time of the latest record, in microseconds since the epoch; 0 without records.
        codes: meaning of the states.
        examples: one counting row for each failure code.
        look: the pass over the manifest after which rows were left out; None: none are.
    """

    parts: Sequence[Part]
    num_rows: Sequence[int]
    origins: Sequence[tuple[str, pa.Schema]]
    wins: npt.NDArray[np.bool_]
    states: SortedKeys
    left_out: npt.NDArray[np.bool_]
    closed_by_state: Counter[int]
    done: DoneGroups | None
    latest_us: int
    codes: StateCodes
    examples: Mapping[str, FailureExample]
    look: ManifestLook | None

    def counts(self) -> LedgerCounts:
        """Return the numbers of counting rows, by outcome, and of those left out."""
        rows = rows_by_state(self.states.payload["state"]) + self.closed_by_state
        left_out = rows_by_state(self.states.payload["state"][self.left_out])
        return count_states(rows, left_out, self.codes, self.examples, self.look)


def rows_by_state(states: npt.NDArray[np.uint8]) -> Counter[int]:
    """Return the number of rows in each state."""
    found, rows = np.unique(states, return_counts=True)
    return Counter(dict(zip(found.tolist(), rows.tolist(), strict=True)))


def scan_ledger(
    storage: Storage,
    left_out: LeftOut | None = None,
    editions: Sequence[Edition] = (),
    *,
    retry_failed: bool = False,
) -> Scan:
    """Scan all parts; start again if another process compacts in the meantime.

    Args:
        storage: the output folder.
        left_out: the records that do not count; None: as the output lists them.
        editions: the editions of the manifest; records of groups of theirs that are done are
            closed.
        retry_failed: True if no failed row is done.

    Raises:
        LedgerError: a part is damaged, or `records/` holds a foreign file.
        StorageError: the records cannot be read.
    """

    def scan_all() -> Scan:
        # The list first: a record that is pruned meanwhile is then in neither.
        listed = read_left_out(storage) if left_out is None else left_out
        parts, done = list_parts(storage), None
        if editions:
            done = find_done_groups(storage, parts, editions, retry_failed=retry_failed)
        return scan_parts(storage, parts, listed, done)

    return unless_vanished(storage, scan_all)


def with_doubts(storage: Storage, done: DoneGroups, hashes: UInt64) -> Scan:
    """Scan again, with the records closed that `done` has without those of some ids.

    Args:
        storage: the output folder.
        done: the groups that are done.
        hashes: quick hashes of the ids.

    Raises:
        LedgerError, StorageError: see `scan_ledger`.
    """
    parts = [seen.part for seen in done.parts]

    def scan_open() -> Scan:
        return scan_parts(storage, parts, read_left_out(storage), done.with_doubts(hashes))

    return unless_vanished(storage, scan_open)


def scan_parts(
    storage: Storage,
    parts: Sequence[Part],
    left_out: LeftOut | None = None,
    done: DoneGroups | None = None,
) -> Scan:
    """Scan these parts, which must be sorted by name.

    Args:
        storage: the output folder.
        parts: the parts.
        left_out: the records that do not count; None: every record counts.
        done: closes records of these parts, which are not scanned; None: none are closed.

    Raises:
        PartVanishedError: a part no longer exists.
        LedgerError: a part is damaged, or is not a file of records.
    """
    found = _Collector(LeftOut(no_keys()) if left_out is None else left_out, done)
    is_read = [done is None or done.may_have_open(number) for number in range(len(parts))]
    reads = read_ahead(storage, list(compress(parts, is_read)), SCANNED)
    for number, part_is_read in enumerate(is_read):
        if part_is_read:
            found.add(next(reads))
        elif done is not None:
            found.add_closed(done.parts[number])
    scan, first_rows = found.finish(parts)
    examples = examples_of(storage, scan.parts, scan.num_rows, scan.codes, first_rows)
    if done is not None:
        examples = {**closed_examples(done, scan.closed_by_state), **examples}
    return replace(scan, examples=examples)


@dataclass(slots=True)
class _Collector:
    """The columns that a scan has read so far."""

    listed: LeftOut
    done: DoneGroups | None
    codes: StateCodes = field(default_factory=StateCodes)
    origins: Origins = field(default_factory=Origins)
    high: Column = field(default_factory=lambda: Column(np.uint64))
    low: Column = field(default_factory=lambda: Column(np.uint64))
    created_at: Column = field(default_factory=lambda: Column(np.int64))
    states: Column = field(default_factory=lambda: Column(STATE_DTYPE))
    rows: Column = field(default_factory=lambda: Column(np.int64))

    def __post_init__(self) -> None:
        if self.done is not None:
            self.codes = self.done.codes

    def add_closed(self, seen: SeenPart) -> None:
        """Add the next part, all of whose records are closed."""
        self.origins.note(seen.uri, seen.schema, seen.rows_by_state.total())

    def add(self, read: PartColumns) -> None:
        """Add the rows of the next part."""
        columns = read.columns
        self.origins.note(read.uri, read.schema, len(columns))
        if self.done is not None:
            is_open = ~self.done.is_closed(columns)
            self.rows.extend(sum(self.origins.num_rows[:-1]) + np.flatnonzero(is_open))
            columns = columns.filter(pa.array(is_open))
        high, low = halves_of(row_keys(columns["id"].cast(pa.binary()).to_pylist()))
        self.high.extend(high)
        self.low.extend(low)
        self.created_at.extend(columns["created_at"].cast(pa.int64()).to_numpy())
        self.states.extend(states_of(columns, self.codes))

    def finish(self, parts: Sequence[Part]) -> tuple[Scan, dict[int, int]]:
        """Return the scan, without examples, and the position of one row of each state.

        The columns are sorted one at a time and freed, to limit the memory for 10⁷ rows.
        """
        pa.default_memory_pool().release_unused()
        order = np.argsort(self.high.values)
        high = self.high.permuted(order)
        low = self.low.permuted(order)
        completed = is_completed(self.states.values["state"])[order]
        latest_us = int(self.created_at.values.max(initial=0))
        closed_by_state: Counter[int] = Counter()
        if self.done is not None:
            latest_us = self.done.latest_us
            closed_by_state = self.done.rows_by_state - rows_by_state(self.states.values["state"])
        times = self.created_at.permuted(order)
        sorted_wins = winning_rows(high, low, times, completed, order)  # rows are in order, too
        is_old = times <= self.listed.until_us
        del times
        states = self.states.permuted(order)
        if self.done is not None:
            order = self.rows.values[order]
        wins = all_but(sum(self.origins.num_rows), order[~sorted_wins])
        if not sorted_wins.all():
            high, low = high[sorted_wins], low[sorted_wins]
            states, order = states[sorted_wins], order[sorted_wins]
            is_old = is_old[sorted_wins]
        keys = SortedKeys(high, low, states)
        left_out = self.listed.mask_of(keys, is_old)
        scan = Scan(
            parts=tuple(parts),
            num_rows=self.origins.num_rows,
            origins=self.origins.used(wins),
            wins=wins,
            states=keys,
            left_out=left_out,
            closed_by_state=closed_by_state,
            done=self.done,
            latest_us=latest_us,
            codes=self.codes,
            examples={},
            look=self.listed.look,
        )
        return scan, first_of_each(states["state"], left_out, order)
