"""The records of an output that count, found without sorting all of them.

Most ids have one record, and it counts. A hash tells the ids that may have several. Their records
are in doubt, and so are the ones that the output lists as left out: `pipelines.ledger.doubts`
decides about them. `pipelines.ledger.scan` stays the truth: it sorts all records by their keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.distinct import RepeatedHashes
from pipelines.keys.index import halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.counts import LedgerCounts, count_states
from pipelines.ledger.dedup import all_but
from pipelines.ledger.doubts import Settled, settle
from pipelines.ledger.examples import examples_of
from pipelines.ledger.left_out import LeftOut, no_keys, read_left_out
from pipelines.ledger.origins import Origins
from pipelines.ledger.part_columns import PartColumns, read_ahead
from pipelines.ledger.parts import Part, list_parts, unless_vanished
from pipelines.ledger.row_state import StateCodes, is_completed
from pipelines.ledger.scan import SCANNED, Scan
from pipelines.storage.storage import Storage

Flags = npt.NDArray[np.bool_]

COUNTED = ("id", "status", "error.code", "error.retryable")
"""The columns that a look needs; others are read to check them."""
_STATES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The records that count.

    Attributes:
        parts: sorted by name.
        num_rows: number of rows of each part.
        origins: see `pipelines.ledger.scan.Scan`.
        counting: `[n]`, True for the rows that count, over all parts in order.
        counts: the numbers of rows, by outcome.
    """

    parts: Sequence[Part]
    num_rows: Sequence[int]
    origins: Sequence[tuple[str, pa.Schema]]
    counting: Flags
    counts: LedgerCounts

    @classmethod
    def of(cls, scan: Scan) -> Look:
        """Return what a scan has found, without the keys of the rows; left out ones count."""
        return cls(scan.parts, scan.num_rows, scan.origins, scan.wins, scan.counts())

    @property
    def written(self) -> frozenset[str]:
        """The names of the columns that some part has; older versions wrote fewer."""
        return frozenset(name for _, schema in self.origins for name in schema.names)

    def by_part(self) -> Iterator[tuple[Part, Flags]]:
        """Yield each part with its piece of `counting`."""
        for part, rows, end in zip(
            self.parts, self.num_rows, accumulate(self.num_rows), strict=True
        ):
            yield part, self.counting[end - rows : end]


def look_at(storage: Storage, columns: Sequence[str] = COUNTED) -> Look:
    """Find the records that count; start again if another process compacts in the meantime.

    Memory: 8 MB; with records in doubt, 40 bytes for each of them, and 2 bytes for each record.

    Args:
        storage: the output folder.
        columns: columns to read and to check, at least `COUNTED`.

    Raises:
        LedgerError: a part is damaged, or `records/` holds a foreign file.
        StorageError: the records cannot be read.
    """

    def look() -> Look:
        # The list first: a record that is pruned meanwhile is then in neither.
        listed = read_left_out(storage)
        return look_in(storage, list_parts(storage), columns, listed)

    return unless_vanished(storage, look)


def look_in(
    storage: Storage,
    parts: Sequence[Part],
    columns: Sequence[str] = SCANNED,
    listed: LeftOut | None = None,
) -> Look:
    """Find the records in some parts that count; memory as for `look_at`.

    Args:
        storage: the output folder.
        parts: the parts, sorted by name.
        columns: columns to read and to check, at least `COUNTED`.
        listed: the records that do not count, with the hashes of their ids; None: the latest
            record of each id counts.

    Raises:
        PartVanishedError: a part no longer exists.
        LedgerError: a part is damaged, or is not a file of records.
        StorageError: the records cannot be read.
    """
    listed = LeftOut(no_keys()) if listed is None else listed
    seen = _Seen()
    for read in read_ahead(storage, parts, columns):
        seen.add(read)
    doubtful = np.union1d(seen.hashes.repeated(), listed.hashes)
    settled = settle(storage, parts, doubtful, listed, seen.codes)
    return seen.finished(storage, parts, settled)


class _Firsts:
    """Keeps the row of each failed state with the least key: the one that a scan shows, too."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}

    @property
    def rows(self) -> Mapping[int, int]:
        """The position of a row of each state, over all parts in order."""
        return {state: row for state, (_, row) in sorted(self._found.items())}

    def note(self, ids: pa.Array, states: npt.NDArray[np.uint8], first: int, mask: Flags) -> None:
        """Add the rows of a part that the mask selects, `[n]`; `first` is the part's position."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        keys = halves_of(row_keys(ids.take(pa.array(rows)).cast(pa.binary()).to_pylist()))[0]
        for state in np.unique(states[rows]).tolist():
            mine = np.flatnonzero(states[rows] == state)
            at = mine[np.argmin(keys[mine])]
            found = int(keys[at]), first + int(rows[at])
            self._found[state] = min(found, self._found.get(state, found))


@dataclass(slots=True)
class _Seen:
    """The records of all parts so far."""

    codes: StateCodes = field(default_factory=StateCodes)
    hashes: RepeatedHashes = field(default_factory=RepeatedHashes)
    origins: Origins = field(default_factory=Origins)
    firsts: _Firsts = field(default_factory=_Firsts)
    rows: int = 0
    rows_by_state: np.ndarray[tuple[int], np.dtype[np.int64]] = field(
        default_factory=lambda: np.zeros(_STATES, np.int64)
    )

    def add(self, read: PartColumns) -> None:
        """Add the records of the next part."""
        columns = read.columns
        self.origins.note(read.uri, read.schema, len(columns))
        self.hashes.add(quick_hashes(columns["id"]))
        states = self.codes.encode(columns["status"], columns["error"])
        self.rows_by_state += np.bincount(states, minlength=_STATES)
        self.firsts.note(columns["id"], states, self.rows, ~is_completed(states))
        self.rows += len(columns)

    def finished(self, storage: Storage, parts: Sequence[Part], settled: Settled) -> Look:
        """Return the look at these parts, with the doubts settled."""
        wins = all_but(self.rows, settled.superseded)
        counting = all_but(self.rows, settled.superseded, settled.left_out)
        firsts = self.firsts.rows
        if not all(counting[row] for row in firsts.values()):
            firsts = self._firsts_among(storage, parts, counting)
        found = Counter(dict(enumerate(self.rows_by_state.tolist())))
        counts = count_states(
            found - settled.superseded_by_state,
            settled.left_out_by_state,
            self.codes,
            examples_of(storage, parts, self.origins.num_rows, self.codes, firsts),
            settled.look,
        )
        return Look(parts, self.origins.num_rows, self.origins.used(wins), counting, counts)

    def _firsts_among(
        self, storage: Storage, parts: Sequence[Part], counting: Flags
    ) -> Mapping[int, int]:
        """Read the records again: a row that was the first of its state does not count."""
        firsts, start = _Firsts(), 0
        for read in read_ahead(storage, parts, COUNTED):
            columns = read.columns
            end = start + len(columns)
            states = self.codes.encode(columns["status"], columns["error"])
            firsts.note(columns["id"], states, start, counting[start:end] & ~is_completed(states))
            start = end
        return firsts.rows
