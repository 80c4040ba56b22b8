"""One column of many rows, in one growing block of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_FIRST_ROWS = 1 << 12


class Column:
    """A growing array.

    It is one large block instead of many small ones that are joined later, because the memory of a
    large block returns to the system when it is freed; its unused end takes no memory.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._buffer: npt.NDArray[Any] = np.empty(_FIRST_ROWS, dtype)
        self._length = 0

    @property
    def values(self) -> npt.NDArray[Any]:
        """All values, `[n]`."""
        return self._buffer[: self._length]

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Append values."""
        length = self._length + len(values)
        if length > len(self._buffer):
            larger = np.empty(max(length, 2 * len(self._buffer)), self._buffer.dtype)
            larger[: self._length] = self.values
            self._buffer = larger
        self._buffer[self._length : length] = values
        self._length = length

    def permuted(self, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the values in this order, `[n]`, and empty the column.

        A structured dtype is reordered one field at a time, within the same memory.
        """
        values = self.values
        if values.dtype.names is None:
            values = values[order]
        else:
            for name in values.dtype.names:
                values[name] = values[name][order]
        self._buffer, self._length = self._buffer[:0].copy(), 0
        return values
