"""The styles of each row, as the number of a combination of the styles that the page filters by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tools.report.reference_keys import lengths_of
from pipelines.tools.report.row_numbers import RowNumbers

_OTHER = -1  # a style that is not offered


class StyleSets:
    """Numbers combinations of styles in the order of their first rows.

    Attributes:
        different: the combinations: numbers of offered styles, ascending.
        rows: the number of each row's combination.
    """

    def __init__(self, offered: Sequence[str], folder: Path) -> None:
        """Know the offered styles by their numbers; the file of `rows` is in `folder`."""
        self._offered = pa.array(offered, pa.string())
        self._numbers: dict[tuple[int, ...], int] = {}
        self.rows = RowNumbers(folder / "style-sets", np.uint32)

    @property
    def different(self) -> list[list[int]]:  # noqa: D102 (an attribute of the class)
        return [list(one) for one in self._numbers]

    def add(self, styles: pa.Array) -> None:
        """Add the styles of the next rows, lists of texts."""
        lengths = lengths_of(styles)
        known = pc.index_in(pc.list_flatten(styles), value_set=self._offered)
        flat = pc.fill_null(known, _OTHER).to_numpy()
        starts = np.cumsum(lengths) - lengths
        numbers = np.zeros(len(styles), np.uint32)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            lists = flat[starts[rows, None] + np.arange(length)]
            different, which = np.unique(lists, axis=0, return_inverse=True)
            found = [self._number(set(one) - {_OTHER}) for one in different.tolist()]
            numbers[rows] = np.array(found, np.uint32)[which.reshape(-1)]
        self.rows.add(numbers)

    def _number(self, styles: set[int]) -> int:
        return self._numbers.setdefault(tuple(sorted(styles)), len(self._numbers))
