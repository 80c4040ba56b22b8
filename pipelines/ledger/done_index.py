"""The recorded state of each row, by the key of its id: 33 bytes per row of an earlier run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.keys.index import halves_of, row_keys
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.row_state import Mark, Recorded, StateCodes, States
from pipelines.ledger.scan import Scan


class DoneIndex:
    """The rows on record when a scan was made; rows recorded since then are only counted.

    New rows take no memory: a run looks up a row before it works on it, records it once, and never
    asks for it again.
    """

    def __init__(self, scan: Scan) -> None:
        self.codes: StateCodes = scan.codes
        self._earlier = scan.states
        self._rows_by_state = Counter(scan.rows_by_state())
        self._marks: npt.NDArray[np.uint8] | None = None  # most runs need none

    @property
    def rows_by_state(self) -> dict[int, int]:
        """Number of rows in each state, including rows recorded since the scan."""
        return dict(self._rows_by_state)

    def lookup(self, row_ids: Sequence[str]) -> list[Recorded | None]:
        """Return each row's record at the time of the scan; None if it had none."""
        at = self._find(row_ids)
        rows = np.flatnonzero(at >= 0)
        found: list[Recorded | None] = [None] * len(at)
        states = self._earlier.payload[at[rows]].tolist()
        marks = [0] * len(rows) if self._marks is None else self._marks[at[rows]].tolist()
        for row, (fingerprint, _, state), mark in zip(rows.tolist(), states, marks, strict=True):
            found[row] = self.codes.recorded(state, fingerprint, Mark(mark))
        return found

    def mark(self, row_ids: Sequence[str], mark: Mark) -> None:
        """Add a mark to rows on record; they are no longer skipped unread. Takes 1 byte per row."""
        if self._marks is None:
            self._marks = np.zeros(len(self._earlier), np.uint8)
        at = self._find(row_ids)
        self._marks[at[at >= 0]] |= mark.value

    def done_rows(self, *, retry_failed: bool) -> DoneRows:
        """Return the rows to skip in one pass over the manifest; see `DoneRows`."""
        return DoneRows(self._earlier, retry_failed=retry_failed, marks=self._marks)

    def count(self, row_ids: Sequence[str], states: States) -> int:
        """Count new records, `[n]`, of rows that have not been counted here before.

        Returns:
            The number of them that replace a record of the scan.
        """
        at = self._find(row_ids)
        replaced = self._earlier.payload[at[at >= 0]]
        self._rows_by_state.subtract(replaced["state"].tolist())
        self._rows_by_state.update(states["state"].tolist())
        return len(replaced)

    def forget_rows(self) -> None:
        """Free the memory: the counts remain, and any other call is an error."""
        del self._earlier, self._marks

    def _find(self, row_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        return self._earlier.find(*halves_of(row_keys(row_id.encode() for row_id in row_ids)))
