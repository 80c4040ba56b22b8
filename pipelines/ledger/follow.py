"""Follows the records of a running run: counts them repeatedly, and reads each part once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.keys.index import KEY_BYTES, LsmTable, keys_of, row_keys
from pipelines.ledger.counts import LedgerCounts, count_states
from pipelines.ledger.left_out import LeftOut, read_left_out
from pipelines.ledger.part_columns import read_ahead
from pipelines.ledger.parts import FOLDER, Part, PartVanishedError, list_parts
from pipelines.ledger.row_state import StateCodes, is_completed
from pipelines.storage.storage import Storage

_DTYPE = np.dtype([("created_at", np.int64), ("state", np.uint8)])
_COLUMNS = ("id", "status", "created_at", "error.code", "error.retryable")
_ATTEMPTS = 5
_AT_ONCE = 1 << 16


class LedgerFollower:
    """Counts the records of an output that are not left out, one per id; 25 bytes per row.

    Duplicates are resolved as in `pipelines.ledger.dedup`, except that either of two failed records
    from the same microsecond may win.
    """

    def __init__(self, storage: Storage) -> None:
        """Follow the records in `storage`; nothing is read yet."""
        self._storage = storage
        self._codes = StateCodes()
        self._table = LsmTable(_DTYPE)
        self._rows_by_state: Counter[int] = Counter()
        self._seen: frozenset[str] = frozenset()

    def poll(self) -> LedgerCounts:
        """Read the parts that are new since the last call; return all counts, without examples.

        Raises:
            LedgerError: a part is damaged, or `records/` holds a foreign file.
            StorageError: the records cannot be read.
        """
        for _ in range(_ATTEMPTS):
            parts = list_parts(self._storage)
            self._seen &= {part.path for part in parts}
            try:
                self._read([part for part in parts if part.path not in self._seen])
            except PartVanishedError:
                continue  # compacted in the meantime: its rows are in a new part
            listed = read_left_out(self._storage)
            left_out = self._left_out(listed)
            return count_states(self._rows_by_state, left_out, self._codes, {}, listed.look)
        reason = "parts vanish as soon as they are listed; do not remove records during a run"
        raise LedgerError(self._storage.uri(FOLDER), reason)

    def _read(self, parts: list[Part]) -> None:
        for part, read in zip(parts, read_ahead(self._storage, parts, _COLUMNS), strict=True):
            self._take(read.columns)
            self._seen |= {part.path}

    def _left_out(self, listed: LeftOut) -> Counter[int]:
        """Return the number of records that do not count, in each state."""
        counted: Counter[int] = Counter()
        for start in range(0, len(listed), _AT_ONCE):
            piece = slice(start, start + _AT_ONCE)
            keys = keys_of(listed.keys.high[piece], listed.keys.low[piece])
            known, payload = self._table.get(keys)
            known &= payload["created_at"] <= listed.until_us
            counted.update(payload["state"][known].tolist())
        return counted

    def _take(self, columns: pa.RecordBatch) -> None:
        joined = row_keys(columns["id"].cast(pa.binary()).to_pylist())
        payload = np.zeros(len(columns), _DTYPE)
        payload["created_at"] = columns["created_at"].cast(pa.int64()).to_numpy()
        payload["state"] = self._codes.encode(columns["status"], columns["error"])
        latest = {  # the winning row of each key: the last one
            joined[KEY_BYTES * row : KEY_BYTES * (row + 1)]: row
            for row in np.argsort(_rank(payload), kind="stable").tolist()
        }
        keys, payload = list(latest), payload[list(latest.values())]
        known, before = self._table.get(keys)
        wins = ~known | (_rank(payload) >= _rank(before))
        self._rows_by_state.subtract(before["state"][known & wins].tolist())
        self._rows_by_state.update(payload["state"][wins].tolist())
        changed = np.flatnonzero(wins)
        self._table.put([keys[row] for row in changed.tolist()], payload[changed])


def _rank(payload: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """Return a rank that grows with the time, then with success, `[n]`."""
    return np.asarray(2 * payload["created_at"] + is_completed(payload["state"]))
