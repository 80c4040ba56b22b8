"""Finds the groups of manifest rows that are done as a whole, without the keys of their records.

A record says from which row it was made (`pipelines.editions`). A group is done if each of its rows
has a record that a run leaves unchanged. Its records are closed: nobody asks for them by their
keys, so that only a hash of each id is kept, for rows elsewhere with the same id.

A record is in doubt if it is not the only one of its id, if it was left out, or if a check has
marked it. Its group is not done, and `pipelines.ledger.scan` decides, which stays the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.editions import Edition
from pipelines.keys.distinct import KnownHashes, SortedHashes, is_among
from pipelines.keys.index import UInt64, halves_of, keys_of, row_keys
from pipelines.keys.key_set import KeySet
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.group_numbers import GroupNumbers, Numbers
from pipelines.ledger.left_out import listed_ids
from pipelines.ledger.part_columns import PartColumns, read_ahead
from pipelines.ledger.parts import Part, list_parts, unless_vanished
from pipelines.ledger.row_state import StateCodes, is_final
from pipelines.record import EDITION_DIGEST, EDITION_ROW
from pipelines.storage.storage import Storage

Flags = npt.NDArray[np.bool_]

_AT_ONCE = 1 << 13
_STATES = 256
_PLACES = ("id", EDITION_DIGEST, EDITION_ROW)
_COLUMNS = (*_PLACES, "status", "created_at", "error.code", "error.retryable")


class SeenPart(NamedTuple):
    """The facts about one part.

    Attributes:
        part: the part.
        uri: the part, for messages.
        schema: its columns.
        rows_by_state: the number of its rows in each state.
        groups: the groups of its rows, each once; -1 if a row is in none.
        latest_us: time of its latest record, in microseconds since the epoch; 0 without records.
    """

    part: Part
    uri: str
    schema: pa.Schema
    rows_by_state: Counter[int]
    groups: Numbers
    latest_us: int


@dataclass(frozen=True)
class DoneGroups:
    """The groups that are done, and the records that are closed.

    Attributes:
        storage: the output folder.
        parts: all parts.
        codes: meaning of the states.
        retry_failed: True if no failed row is done.
        numbers: the numbers of the groups.
        done: True for each group that is done, `[groups]`.
        known: hashes of the ids of all records.
        doubtful: the hashes of ids whose records are in doubt, sorted.
        doubtful_parts: the numbers of the parts with such records.
    """

    storage: Storage
    parts: Sequence[SeenPart]
    codes: StateCodes
    retry_failed: bool
    numbers: GroupNumbers
    done: Flags
    known: KnownHashes
    doubtful: UInt64 = field(default_factory=lambda: np.empty(0, np.uint64))
    doubtful_parts: frozenset[int] = frozenset()

    @property
    def rows_by_state(self) -> Counter[int]:
        """The number of all records in each state."""
        return sum((seen.rows_by_state for seen in self.parts), Counter())

    @property
    def latest_us(self) -> int:
        """Time of the latest record, in microseconds since the epoch; 0 without records."""
        return max((seen.latest_us for seen in self.parts), default=0)

    def unread(self, edition: Edition) -> Flags:
        """Return True for each group of an edition that is done, `[groups]`."""
        found = self.done[self.numbers.of(edition)]
        return found if len(found) else np.zeros(len(edition.groups), bool)

    def is_closed(self, records: pa.RecordBatch) -> Flags:
        """Return True for each record that is closed, `[n]`.

        Args:
            records: the ids and the places of records.
        """
        groups = self.numbers.groups_of(self.numbers.rows_of(records))
        closed = (groups >= 0) & self.done[groups]
        if len(self.doubtful):
            closed &= ~is_among(quick_hashes(records["id"]), self.doubtful)
        return closed

    def may_have_open(self, number: int) -> bool:
        """Return True if the part with this number may have a record that is not closed."""
        groups = self.parts[number].groups
        return number in self.doubtful_parts or not bool((self.done[groups] & (groups >= 0)).all())

    def holds(self, high: UInt64, low: UInt64, ids: pa.Array) -> Flags:
        """Return True for each id of a closed record, `[n]`.

        Args:
            high: `[n]`, the first halves of the keys of the ids.
            low: `[n]`, the second halves.
            ids: `[n]`, the ids as text.
        """
        found = self.known.has(quick_hashes(ids))
        rows = np.flatnonzero(found)
        if len(rows):
            found[rows] = self._keys.has(keys_of(high[rows], low[rows]))
        return found

    def with_doubts(self, hashes: UInt64) -> DoneGroups:
        """Return the groups that hold no record whose id has one of these hashes.

        Raises:
            PartVanishedError, LedgerError, StorageError: see `read_ahead`.
        """
        hashes = np.unique(hashes)
        done, parts = self.done.copy(), set(self.doubtful_parts)
        listed = [seen.part for seen in self.parts]
        for number, read in enumerate(read_ahead(self.storage, listed, _PLACES)):
            found = is_among(quick_hashes(read.columns["id"]), hashes)
            if found.any():
                parts.add(number)
                rows = self.numbers.rows_of(read.columns.filter(pa.array(found)))
                done[self.numbers.groups_of(rows[rows >= 0])] = False
        doubtful = np.union1d(self.doubtful, hashes)
        return replace(self, done=done, doubtful=doubtful, doubtful_parts=frozenset(parts))

    @cached_property
    def _keys(self) -> KeySet:
        """The keys of all closed records; read only if a row has the id of one, or its hash."""

        def read_all() -> KeySet:
            found = KeySet()
            for read in read_ahead(self.storage, list_parts(self.storage), _PLACES):
                closed = read.columns["id"].filter(pa.array(self.is_closed(read.columns)))
                found.add_new(*halves_of(row_keys(closed.cast(pa.binary()).to_pylist())))
            return found

        return unless_vanished(self.storage, read_all)  # the run may compact them meanwhile


def find_done_groups(
    storage: Storage, parts: Sequence[Part], editions: Sequence[Edition], *, retry_failed: bool
) -> DoneGroups | None:
    """Find the groups of some editions that are done.

    Takes 1 byte of memory for each row of the editions.

    Args:
        storage: the output folder.
        parts: all parts.
        editions: the editions of the manifest.
        retry_failed: True if no failed row is done; otherwise failures that are not retryable are.

    Returns:
        None if no group is done.

    Raises:
        PartVanishedError, LedgerError, StorageError: see `read_ahead`.
    """
    look = _Look(GroupNumbers(editions), retry_failed)
    reads = zip(parts, read_ahead(storage, parts, _COLUMNS), strict=True)
    hashes = (some for part, read in reads for some in look.at_part(part, read))
    known = KnownHashes(SortedHashes.of(hashes))
    done = look.done_groups()
    if not done.any():
        return None
    found = DoneGroups(storage, look.seen, look.codes, retry_failed, look.numbers, done, known)
    doubtful = [known.repeated, *map(quick_hashes, listed_ids(storage))]
    if any(map(len, doubtful)):
        found = found.with_doubts(np.concatenate(doubtful))
    return found if found.done.any() else None


class _Look:
    """A look at the places and states of all records.

    Attributes:
        numbers: the numbers of the groups.
        seen: the parts so far.
        codes: meaning of the states.
    """

    def __init__(self, numbers: GroupNumbers, retry_failed: bool) -> None:
        self.numbers = numbers
        self.seen: list[SeenPart] = []
        self.codes = StateCodes()
        self._retry_failed = retry_failed
        self._is_done = np.zeros(numbers.num_rows, bool)

    def at_part(self, part: Part, read: PartColumns) -> Iterator[UInt64]:
        """Look at the records of the next part, and yield the hashes of their ids."""
        rows_by_state = np.zeros(_STATES, np.int64)
        groups: list[Numbers] = []
        latest_us = 0
        # A few at a time: larger arrays leave the processor's cache, and each costs page faults.
        for start in range(0, len(read.columns), _AT_ONCE):
            records = read.columns[start : start + _AT_ONCE]
            states = self.codes.encode(records["status"], records["error"])
            rows = self.numbers.rows_of(records)
            final = is_final(states, retry_failed=self._retry_failed)
            self._is_done[rows[(rows >= 0) & final]] = True
            rows_by_state += np.bincount(states, minlength=_STATES)
            groups.append(_without_runs(self.numbers.groups_of(rows)))
            latest_us = max(latest_us, pc.max(records["created_at"].cast(pa.int64())).as_py())
            yield quick_hashes(records["id"])
        schema = read.schema
        if self.seen and schema.equals(self.seen[-1].schema):  # one object for most parts
            schema = self.seen[-1].schema
        by_state = +Counter(dict(enumerate(rows_by_state.tolist())))
        all_groups = np.unique(np.concatenate([np.empty(0, np.int64), *groups]))
        self.seen.append(SeenPart(part, read.uri, schema, by_state, all_groups, latest_us))

    def done_groups(self) -> Flags:
        """Return True for each group that has rows, all of which are done, `[groups]`."""
        pieces = self.numbers.pieces(self._is_done)
        return np.array([len(rows) > 0 and bool(rows.all()) for rows in pieces], bool)


def _without_runs(numbers: Numbers) -> Numbers:
    """Return the first of each run of equal numbers."""
    first = np.ones(len(numbers), bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]
