"""One column of many rows, in one piece of memory that grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_FIRST_ROWS = 1 << 12


class Column:
    """A growing array.

    One large piece, and not many small ones to be joined, because the memory of a large piece goes
    back to the system when it is freed; the unused end of a piece takes none.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._buffer: npt.NDArray[Any] = np.empty(_FIRST_ROWS, dtype)
        self._length = 0

    @property
    def values(self) -> npt.NDArray[Any]:
        """All values, `[n]`."""
        return self._buffer[: self._length]

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Add values at the end."""
        length = self._length + len(values)
        if length > len(self._buffer):
            larger = np.empty(max(length, 2 * len(self._buffer)), self._buffer.dtype)
            larger[: self._length] = self.values
            self._buffer = larger
        self._buffer[self._length : length] = values
        self._length = length

    def permuted(self, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The values in this order, `[n]`; the column is emptied.

        Those of a structured dtype are put in order one field at a time, within the same memory.
        """
        values = self.values
        if values.dtype.names is None:
            values = values[order]
        else:
            for name in values.dtype.names:
                values[name] = values[name][order]
        self._buffer, self._length = self._buffer[:0].copy(), 0
        return values
