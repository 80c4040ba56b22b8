"""The recorded state of each row, by the key of its id: 39 bytes per row of an earlier run.

Rows of groups that are done have no state here, see `pipelines.ledger.done_groups`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.counts import FailureExample, LedgerCounts, count_states
from pipelines.ledger.done_groups import DoneGroups
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.row_state import Mark, Recorded, StateCodes, is_completed, states_of
from pipelines.ledger.scan import Scan, rows_by_state


class _Marked(NamedTuple):
    """Rows that have got a mark: quick hashes of their ids, halves of their keys, and the mark."""

    hashes: UInt64
    high: UInt64
    low: UInt64
    mark: Mark

    @classmethod
    def of(cls, row_ids: Sequence[str], mark: Mark) -> _Marked:
        halves = halves_of(row_keys(row_id.encode() for row_id in row_ids))
        return cls(quick_hashes(pa.array(row_ids, pa.string())), *halves, mark)


class DoneIndex:
    """The rows on record when a scan was made; rows recorded since then are only counted.

    New rows take no memory: a run looks up a row before it works on it, records it once, and never
    asks for it again.
    """

    def __init__(self, scan: Scan, scan_again: Callable[[DoneGroups, UInt64], Scan]) -> None:
        """Take the states of a scan.

        Args:
            scan: the scan.
            scan_again: `pipelines.ledger.scan.with_doubts` for the same output.
        """
        self._scan_again = scan_again
        self._take(scan)
        self._rows_by_state = rows_by_state(scan.states.payload["state"]) + scan.closed_by_state
        self._is_changed = False
        self._marked: list[_Marked] = []
        self._has_closed_marks = False

    def _take(self, scan: Scan) -> None:
        self.codes: StateCodes = scan.codes
        self._earlier = scan.states
        self._examples = dict(scan.examples)
        self._left_out = scan.left_out
        self._done = scan.done
        self._pass = DoneRows(scan.states, retry_failed=False)
        self._left_out_by_state: Counter[int] | None = None
        self._marks: npt.NDArray[np.uint8] | None = None  # most runs need none

    def counts(self, look: ManifestLook | None) -> LedgerCounts:
        """Return the numbers of rows, including rows recorded since the scan.

        Args:
            look: see `LedgerCounts`.
        """
        left_out = self._left_out_now()
        return count_states(self._rows_by_state, left_out, self.codes, self._examples, look)

    def lookup(self, row_ids: Sequence[str]) -> list[Recorded | None]:
        """Return each row's record at the time of the scan; None if it had none.

        The pass over the manifest has then met these rows.
        """
        at = self._find(row_ids)
        rows = np.flatnonzero(at >= 0)
        self._pass.meet(at[rows])
        found: list[Recorded | None] = [None] * len(at)
        states = self._earlier.payload[at[rows]].tolist()
        marks = [0] * len(rows) if self._marks is None else self._marks[at[rows]].tolist()
        for row, (number, _, columns, state), mark in zip(
            rows.tolist(), states, marks, strict=True
        ):
            found[row] = self.codes.recorded(state, number, columns, Mark(mark))
        return found

    def mark(self, row_ids: Sequence[str], mark: Mark) -> None:
        """Add a mark to rows on record; they are no longer skipped unread.

        Takes 1 byte per row of the scan, and 25 per marked row if some rows are in no scan.
        """
        marked = _Marked.of(row_ids, mark)
        at = self._set(marked)
        if self._done is not None:
            self._marked.append(marked)
            self._has_closed_marks |= bool((at < 0).any())

    def done_rows(self, *, retry_failed: bool) -> DoneRows:
        """Begin a pass over the manifest: return the rows to skip in it, see `DoneRows`."""
        if self._done is not None and self._has_closed_marks:
            hashes = np.concatenate([marked.hashes for marked in self._marked])
            self._take(self._scan_again(self._done, hashes))
            for marked in self._marked:
                self._set(marked)
            self._has_closed_marks = False
        assert self._done is None or self._done.retry_failed or not retry_failed
        self._pass = DoneRows(
            self._earlier, retry_failed=retry_failed, marks=self._marks, done=self._done
        )
        return self._pass

    def _set(self, marked: _Marked) -> npt.NDArray[np.int64]:
        """Add a mark to rows of the scan, and return their places, `[n]`; -1 for others."""
        if self._marks is None:
            self._marks = np.zeros(len(self._earlier), np.uint8)
        at = self._earlier.find(marked.high, marked.low)
        self._marks[at[at >= 0]] |= marked.mark.value
        return at

    def leave_out(self, *, whole: bool) -> SortedKeys:
        """Decide which records count from now on, after a pass over the manifest.

        Args:
            whole: True if the pass has read the whole manifest: then a record that it has not met
                does not count. Otherwise, that stays as it was, except for the records it has met.

        Returns:
            The keys of the records that do not count.
        """
        has_rows = self._pass.met.any() or self._is_changed or self._done is not None
        is_known = whole and has_rows
        left_out = ~self._pass.met
        if not is_known:  # a manifest without a single row says nothing about the records, either
            left_out &= self._left_out
        self._left_out = left_out
        self._left_out_by_state = rows_by_state(self._earlier.payload["state"][left_out])
        earlier = self._earlier
        nothing = np.empty(len(earlier), np.dtype([]))
        return SortedKeys(earlier.high[left_out], earlier.low[left_out], nothing[left_out])

    def add(self, records: pa.RecordBatch) -> bool:
        """Count new records, of rows that have not been counted here before.

        Returns:
            True if one of them replaces a record of the scan.
        """
        self._is_changed = True
        states = states_of(records, self.codes)
        row_ids = records["id"].to_pylist()
        at = self._find(row_ids)
        at = at[at >= 0]
        self._pass.meet(at)
        replaced = self._earlier.payload[at]
        self._rows_by_state.subtract(replaced["state"].tolist())
        self._rows_by_state.update(states["state"].tolist())
        self._note_examples(records, row_ids, is_completed(states["state"]))
        return len(replaced) > 0

    def _note_examples(
        self, records: pa.RecordBatch, row_ids: Sequence[str], completed: npt.NDArray[np.bool_]
    ) -> None:
        added = set(row_ids)
        for code in [code for code, old in self._examples.items() if old.row_id in added]:
            del self._examples[code]
        for row in np.flatnonzero(~completed).tolist():
            error = records["error"][row].as_py()
            example = FailureExample(row_ids[row], error["message"] or "")
            self._examples.setdefault(error["code"], example)

    def forget_rows(self) -> None:
        """Free the memory: the counts remain, and any other call is an error."""
        self._left_out_by_state = self._left_out_now()
        del self._earlier, self._left_out, self._pass, self._marks, self._done

    def _left_out_now(self) -> Counter[int]:
        """Return the number of records that do not count, in each state."""
        if self._left_out_by_state is not None:
            return self._left_out_by_state
        left_out = self._left_out & ~self._pass.met
        return rows_by_state(self._earlier.payload["state"][left_out])

    def _find(self, row_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        return self._earlier.find(*halves_of(row_keys(row_id.encode() for row_id in row_ids)))
