"""One number for each row, in a temporary file: what grows with the rows and is read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.tools.report.temporary_space import writing

Number = TypeVar("Number", bound=np.generic)

_AT_ONCE = 1 << 16


class RowNumbers(Generic[Number]):
    """Takes numbers in pieces; holds none of them."""

    def __init__(self, path: Path, kind: type[Number]) -> None:
        """Keep numbers of one type in a file, which the caller removes."""
        self._path, self._kind = path, np.dtype(kind)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, numbers: npt.NDArray[np.generic]) -> None:
        """Append numbers, `[n]`.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        with writing(self._path.parent), self._path.open("ab") as file:
            file.write(np.ascontiguousarray(numbers, self._kind).data)
        self._length += len(numbers)

    def all(self) -> npt.NDArray[Number]:
        """Return all numbers, `[rows]`."""
        return np.fromfile(self._path, self._kind) if len(self) else np.empty(0, self._kind)

    def pieces(self) -> Iterator[npt.NDArray[Number]]:
        """Yield all numbers in order, some at a time."""
        for start in range(0, len(self), _AT_ONCE):
            offset = start * self._kind.itemsize
            yield np.fromfile(self._path, self._kind, _AT_ONCE, offset=offset)
