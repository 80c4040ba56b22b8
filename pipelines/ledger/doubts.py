"""Decides about the records that may not count: of ids with several records, and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.column import Column
from pipelines.keys.distinct import is_among
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.dedup import winning_rows
from pipelines.ledger.left_out import LeftOut, ManifestLook
from pipelines.ledger.part_columns import PartColumns, read_ahead
from pipelines.ledger.parts import Part
from pipelines.ledger.row_state import StateCodes, is_completed
from pipelines.storage.storage import Storage

Numbers = npt.NDArray[np.int64]
States = npt.NDArray[np.uint8]

_COLUMNS = ("id", "status", "error.code", "error.retryable", "created_at")
_NO_PAYLOAD = np.dtype([])


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """The records that do not count.

    Attributes:
        superseded: the positions of records that another one of their id wins over, over all parts
            in order.
        left_out: the positions of winning records that are left out.
        superseded_by_state: the number of superseded records in each state.
        left_out_by_state: the number of the others.
        look: the pass over the manifest after which rows were left out; None: none are.
    """

    superseded: Numbers
    left_out: Numbers
    superseded_by_state: Counter[int]
    left_out_by_state: Counter[int]
    look: ManifestLook | None


def settle(
    storage: Storage,
    parts: Sequence[Part],
    doubtful: UInt64,
    listed: LeftOut,
    codes: StateCodes,
) -> Settled:
    """Find the records that do not count; reads nothing without a doubtful id.

    Args:
        storage: the output folder.
        parts: all parts, sorted by name.
        doubtful: quick hashes of the ids in doubt, sorted.
        listed: the records that do not count, as the output lists them.
        codes: meaning of the states.

    Raises:
        PartVanishedError, LedgerError, StorageError: see `read_ahead`.
    """
    found = _Doubtful(doubtful, codes)
    for read in read_ahead(storage, parts, _COLUMNS) if len(doubtful) else ():
        found.add(read)
    return found.settled(listed)


@dataclass(slots=True)
class _Doubtful:
    """The records in doubt, and their positions over all parts in order."""

    hashes: UInt64
    codes: StateCodes
    rows: int = 0
    high: Column = field(default_factory=lambda: Column(np.uint64))
    low: Column = field(default_factory=lambda: Column(np.uint64))
    times: Column = field(default_factory=lambda: Column(np.int64))
    positions: Column = field(default_factory=lambda: Column(np.int64))
    states: Column = field(default_factory=lambda: Column(np.uint8))

    def add(self, read: PartColumns) -> None:
        """Add the records of the next part."""
        columns = read.columns
        mine = np.flatnonzero(is_among(quick_hashes(columns["id"]), self.hashes))
        some = columns.take(pa.array(mine))
        high, low = halves_of(row_keys(some["id"].cast(pa.binary()).to_pylist()))
        self.high.extend(high)
        self.low.extend(low)
        self.times.extend(some["created_at"].cast(pa.int64()).to_numpy())
        self.positions.extend(self.rows + mine)
        self.states.extend(self.codes.encode(some["status"], some["error"]))
        self.rows += len(columns)

    def settled(self, listed: LeftOut) -> Settled:
        """Decide: the latest record of an id wins, and counts unless it is left out."""
        order = np.argsort(self.high.values)
        high, low, times, positions, states = (
            column.permuted(order)
            for column in (self.high, self.low, self.times, self.positions, self.states)
        )
        wins = winning_rows(high, low, times, is_completed(states), positions)
        keys = SortedKeys(high[wins], low[wins], np.empty(int(wins.sum()), _NO_PAYLOAD))
        left_out = np.zeros(len(wins), bool)
        left_out[wins] = listed.mask_of(keys, times[wins] <= listed.until_us)
        return Settled(
            superseded=positions[~wins],
            left_out=positions[left_out],
            superseded_by_state=_by_state(states[~wins]),
            left_out_by_state=_by_state(states[left_out]),
            look=listed.look,
        )


def _by_state(states: States) -> Counter[int]:
    found, rows = np.unique(states, return_counts=True)
    return Counter(dict(zip(found.tolist(), rows.tolist(), strict=True)))
