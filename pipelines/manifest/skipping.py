"""The rows that a pass over the manifest may skip without reading them in Python."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.editions import Edition
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys


class SkippableRows(Protocol):
    """Rows that an earlier run finished, found by the key of their id and their source digest.

    Each of them stands for one row of the manifest. `pipelines.ledger.done_rows` implements this
    for the records of an output.
    """

    def candidates(
        self,
        high: UInt64,
        low: UInt64,
        digests: npt.NDArray[np.int64],
        own: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Look up the rows of a batch that may be skipped.

        Args:
            high: `[n]`, the first halves of the rows' keys.
            low: `[n]`, the second halves.
            digests: `[n]`, the rows' source digests; 0 for a row that must not be skipped.
            own: `[n]`, the digests of their own columns.

        Returns:
            `[n]`: the number of the finished row with the same key and digests, each at most once;
            -1 for a row that must be read.
        """

    def skip(self, numbers: npt.NDArray[np.int64]) -> None:
        """Note that the rows with these numbers are skipped."""

    def unread(self, edition: Edition) -> npt.NDArray[np.bool_]:
        """Return for each group of rows whether it is done as a whole, `[groups]`.

        All rows of such a group may be skipped: the records say that they were made from them.
        """

    def has_skipped(self, high: UInt64, low: UInt64, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Return for each row id, `[n]`, whether a row with it was skipped or left unread.

        Args:
            high: `[n]`, the first halves of the keys of the ids.
            low: `[n]`, the second halves.
            ids: `[n]`, the ids as text.
        """

    def is_recorded(self, high: UInt64, low: UInt64, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Return for each row id, `[n]`, whether an earlier run recorded it; see `has_skipped`."""


class NothingToSkip:
    """`SkippableRows` for a pass that reads every row."""

    def candidates(
        self,
        high: UInt64,
        low: UInt64,  # noqa: ARG002 (the protocol's)
        digests: npt.NDArray[np.int64],  # noqa: ARG002 (the protocol's)
        own: npt.NDArray[np.int64],  # noqa: ARG002 (the protocol's)
    ) -> npt.NDArray[np.int64]:
        """Return -1 for every row."""
        return np.full(len(high), -1, np.int64)

    def skip(self, numbers: npt.NDArray[np.int64]) -> None:
        """Do nothing: there is never a number to skip by."""

    def unread(self, edition: Edition) -> npt.NDArray[np.bool_]:
        """Return False for every group."""
        return np.zeros(len(edition.groups), bool)

    def has_skipped(
        self,
        high: UInt64,
        low: UInt64,  # noqa: ARG002 (the protocol's)
        ids: pa.Array,  # noqa: ARG002 (the protocol's)
    ) -> npt.NDArray[np.bool_]:
        """Return False for every row."""
        return np.zeros(len(high), bool)

    def is_recorded(
        self,
        high: UInt64,
        low: UInt64,  # noqa: ARG002 (the protocol's)
        ids: pa.Array,  # noqa: ARG002 (the protocol's)
    ) -> npt.NDArray[np.bool_]:
        """Return False for every row."""
        return np.zeros(len(high), bool)


class RecordedIds(NothingToSkip):
    """`SkippableRows` for a pass that reads every row and looks for recorded ones.

    Args:
        ids: the ids of the recorded rows.
    """

    def __init__(self, ids: Collection[str]) -> None:
        halves = halves_of(row_keys(row_id.encode() for row_id in ids))
        self._keys = SortedKeys.sort(*halves, np.zeros(len(ids), np.bool_))

    def is_recorded(
        self,
        high: UInt64,
        low: UInt64,
        ids: pa.Array,  # noqa: ARG002 (the protocol's)
    ) -> npt.NDArray[np.bool_]:
        """Return for each row, `[n]`, whether it is a recorded one."""
        return np.asarray(self._keys.find(high, low) >= 0)
