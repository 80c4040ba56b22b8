"""One id per manifest row, unique in the manifest, in compact memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.ledger.key_index import KeySet, KeyTable, row_key


class RowIds:
    """Remembers the ids given out so far: 16 bytes a row, 36 for one that repeats."""

    def __init__(self) -> None:
        self._given = KeySet()
        self._repeats = KeyTable(np.dtype(np.uint32))

    def claim(self, ids: Sequence[str]) -> list[int]:
        """For each id, the how-manieth row with it this is: 1 for the first."""
        keys = [row_key(row_id) for row_id in ids]
        new = self._given.add(keys)
        return [1 if is_new else self._count(key) for key, is_new in zip(keys, new, strict=True)]

    def variant(self, row_id: str, separator: str, ordinal: int) -> str:
        """A unique id for a repeat: `ID-2`, or with a higher number where that one is taken."""
        while True:
            found = f"{row_id}{separator}{ordinal}"
            if self._given.add([row_key(found)])[0]:
                return found
            ordinal += 1

    def _count(self, key: bytes) -> int:
        _, counted = self._repeats.get([key])
        ordinal = max(int(counted[0]), 1) + 1
        self._repeats.put([key], np.array([ordinal], np.uint32))
        return ordinal
