"""Unique row ids, kept in compact memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.index import KEY_BYTES, LsmTable, halves_of, row_key, row_keys
from pipelines.keys.key_set import KeySet
from pipelines.manifest.skipping import NothingToSkip, SkippableRows


class RowIds:
    """The ids in use: 16 bytes per row on disk, and 20 in memory per repeated id.

    Args:
        done: the rows that may be skipped; None: no row may.
    """

    def __init__(self, done: SkippableRows | None = None) -> None:
        self._done = NothingToSkip() if done is None else done
        self._given = KeySet()
        self._repeats = LsmTable(np.dtype(np.uint32))

    def skip(
        self, keys: bytes, digests: npt.NDArray[np.int64], own: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Find the rows of a batch that are recorded as done, and take their ids.

        A row whose id an earlier row has is not skipped.

        Args:
            keys: the keys of the ids, joined.
            digests: the rows' source digests, `[n]`; 0 for a row that must not be skipped.
            own: the digests of their own columns, `[n]`.

        Returns:
            True for each row that is skipped, `[n]`.
        """
        left_out = np.zeros(len(digests), bool)
        records = self._done.candidates(*halves_of(keys), digests, own)
        rows = np.flatnonzero(records >= 0)
        if len(self._given):
            split = [keys[row * KEY_BYTES : (row + 1) * KEY_BYTES] for row in rows.tolist()]
            rows = rows[~self._given.has(split)]
        self._done.skip(records[rows])
        left_out[rows] = True
        return left_out

    def recorded(self, ids: Sequence[str]) -> list[bool]:
        """Return for each id whether an earlier run recorded a row with it."""
        if not ids:
            return []
        keys = halves_of(row_keys(row_id.encode() for row_id in ids))
        return self._done.is_recorded(*keys, pa.array(ids, pa.string())).tolist()  # type: ignore[no-any-return]

    def claim(self, ids: Sequence[str]) -> list[int]:
        """Return each id's occurrence number so far, starting at 1."""
        keys = [row_key(row_id) for row_id in ids]
        new = self._add(ids, keys)
        if all(new):
            return [1] * len(new)
        return [1 if is_new else self._count(key) for key, is_new in zip(keys, new, strict=True)]

    def variant(self, row_id: str, separator: str, ordinal: int) -> str:
        """Return a unique id for a repeat, such as `ID-2`, and take it.

        Args:
            row_id: the repeated id.
            separator: the text between the id and the number.
            ordinal: the number, which is increased until the id is free.
        """
        while True:
            found = f"{row_id}{separator}{ordinal}"
            if self._add([found], [row_key(found)])[0]:
                return found
            ordinal += 1

    def _add(self, ids: Sequence[str], keys: Sequence[bytes]) -> list[bool]:
        new = self._given.add(keys)
        texts = pa.array(ids, pa.string())
        left_out = self._done.has_skipped(*halves_of(b"".join(keys)), texts).tolist()
        return [is_new and not is_out for is_new, is_out in zip(new, left_out, strict=True)]

    def _count(self, key: bytes) -> int:
        _, counted = self._repeats.get([key])
        ordinal = max(int(counted[0]), 1) + 1
        self._repeats.put([key], np.array([ordinal], np.uint32))
        return ordinal
