"""Which manifest rows a run can leave out unseen: those recorded as done, as they are now."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.keys.index import SortedKeys, UInt64
from pipelines.ledger.row_state import is_final


class DoneRows:
    """The records that there were when a pass over the manifest began; 1 byte a row.

    Each of them stands for one row of the manifest: a second one with the same id is none that may
    be left out.

    Args:
        recorded: with payloads of `row_state.STATE_DTYPE`.
        retry_failed: whether no failed row counts as done; else those do that are not retryable.
    """

    def __init__(self, recorded: SortedKeys, *, retry_failed: bool) -> None:
        self._recorded = recorded
        self._retry_failed = retry_failed
        self._left_out = np.zeros(len(recorded), bool)

    def candidates(
        self, high: UInt64, low: UInt64, digests: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """For each row of a batch, the record by which it may be left out, `[n]`; -1: none.

        That is a record that is done and has the row's digest; no row before may have been left out
        by it, and none of the batch before may have the same id.

        Args:
            high: `[n]`, the first halves of the rows' keys.
            low: `[n]`, the second halves.
            digests: `[n]`, the rows' source digests; 0: none.
        """
        at = self._recorded.find(high, low)
        rows = np.flatnonzero(at >= 0)
        _, first = np.unique(at[rows], return_index=True)
        rows = rows[first]
        records = self._recorded.payload[at[rows]]
        fits = (records["source"] == digests[rows]) & (digests[rows] != 0)
        fits &= is_final(records["state"], retry_failed=self._retry_failed)
        fits &= ~self._left_out[at[rows]]
        found = np.full(len(at), -1, np.int64)
        found[rows[fits]] = at[rows[fits]]
        return found

    def skip(self, records: npt.NDArray[np.int64]) -> None:
        """Take note that rows are left out by these records, as `candidates` gave them."""
        self._left_out[records] = True

    def has_skipped(self, high: UInt64, low: UInt64) -> npt.NDArray[np.bool_]:
        """Whether a row with this key was left out, `[n]`."""
        at = self._recorded.find(high, low)
        return (at >= 0) & self._left_out[at] if len(self._left_out) else np.zeros(len(at), bool)
