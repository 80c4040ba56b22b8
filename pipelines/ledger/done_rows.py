"""Manifest rows that a run can skip without parsing them: unchanged and already done."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.editions import Edition
from pipelines.keys.index import SortedKeys, UInt64
from pipelines.ledger.done_groups import DoneGroups
from pipelines.ledger.row_state import columns_numbers, is_final


class DoneRows:
    """The records that existed when a pass over the manifest began; 1 byte per row.

    Each record stands for one row of the manifest: a second row with the same id must not be
    skipped. The pass meets a record if it skips its row or looks it up.

    Args:
        recorded: keys with payloads of `row_state.STATE_DTYPE`.
        retry_failed: True if no failed row is done; otherwise failures that are not retryable are.
        marks: a `Mark` for each record, `[n]`: a marked row must not be skipped. None: no marks.
        done: the groups that are done, whose records are not among these; None: no group is.
    """

    def __init__(
        self,
        recorded: SortedKeys,
        *,
        retry_failed: bool,
        marks: npt.NDArray[np.uint8] | None = None,
        done: DoneGroups | None = None,
    ) -> None:
        self._recorded = recorded
        self._retry_failed = retry_failed
        self._marks = marks
        self._done = done
        self._met = np.zeros(len(recorded), bool)

    def __bool__(self) -> bool:
        """Return False if there is no record."""
        return len(self._recorded) > 0 or self._done is not None

    def unread(self, edition: Edition) -> npt.NDArray[np.bool_]:
        """Return True for each group of an edition that is done as a whole, `[groups]`."""
        if self._done is None:
            return np.zeros(len(edition.groups), bool)
        return self._done.unread(edition)

    def candidates(
        self,
        high: UInt64,
        low: UInt64,
        digests: npt.NDArray[np.int64],
        own: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Find, for each row of a batch, the record that allows skipping it, `[n]`; -1 without one.

        Such a record is done and has the row's digests. No earlier row has met it, and no earlier
        row of the batch has the same id.

        Args:
            high: `[n]`, first halves of the rows' keys.
            low: `[n]`, second halves.
            digests: `[n]`, source digests of the rows; 0 for a row without one.
            own: `[n]`, digests of their own columns.
        """
        at = self._recorded.find(high, low)
        rows = np.flatnonzero(at >= 0)
        _, first = np.unique(at[rows], return_index=True)
        rows = rows[first]
        records = self._recorded.payload[at[rows]]
        fits = (records["source"] == digests[rows]) & (digests[rows] != 0)
        recorded = records["columns"]  # 0: not known, so that the record stays as it is
        fits &= (recorded == 0) | (recorded == columns_numbers(own[rows]))
        fits &= is_final(records["state"], retry_failed=self._retry_failed)
        fits &= ~self._met[at[rows]]
        if self._marks is not None:
            fits &= self._marks[at[rows]] == 0
        found = np.full(len(at), -1, np.int64)
        found[rows[fits]] = at[rows[fits]]
        return found

    def skip(self, records: npt.NDArray[np.int64]) -> None:
        """Note that the rows of these records, returned by `candidates`, are skipped."""
        self.meet(records)

    def meet(self, records: npt.NDArray[np.int64]) -> None:
        """Note that the manifest has the rows of these records, given by their numbers."""
        self._met[records] = True

    @property
    def met(self) -> npt.NDArray[np.bool_]:
        """True for each record whose row the pass has come across, `[records]`."""
        return self._met

    def has_skipped(self, high: UInt64, low: UInt64, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Return a mask of the ids whose row has been skipped, looked up or left unread, `[n]`.

        The pass knows by itself which ids it has looked up.
        """
        at = self._recorded.find(high, low)
        met = (at >= 0) & self._met[at] if len(self._met) else np.zeros(len(at), bool)
        return met | self._is_closed(at < 0, high, low, ids)

    def is_recorded(self, high: UInt64, low: UInt64, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Return a mask of the ids that have a record, `[n]`."""
        at = self._recorded.find(high, low)
        return np.asarray((at >= 0) | self._is_closed(at < 0, high, low, ids))

    def _is_closed(
        self, asked: npt.NDArray[np.bool_], high: UInt64, low: UInt64, ids: pa.Array
    ) -> npt.NDArray[np.bool_]:
        """Return a mask of the asked ids that have a closed record, `[n]`."""
        found = np.zeros(len(asked), bool)
        if self._done is not None and asked.any():
            others = ids.filter(pa.array(asked))
            found[asked] = self._done.holds(high[asked], low[asked], others)
        return found
