"""Numbers the rows and the groups of all editions of a manifest, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.editions import Edition
from pipelines.record import EDITION_DIGEST, EDITION_ROW

Numbers = npt.NDArray[np.int64]
"""`[n]`; -1 for a record of another edition, or of none."""


class GroupNumbers:
    """The numbers of groups and rows.

    Attributes:
        num_rows: the number of all rows.
        num_groups: the number of all groups.
    """

    def __init__(self, editions: Sequence[Edition]) -> None:
        by_digest = sorted(editions, key=lambda edition: edition.digest)
        self._digests = np.array([edition.digest for edition in by_digest], np.int64)
        rows = [sum(edition.groups) for edition in by_digest]
        self._rows = np.array(rows, np.int64)
        self._first_rows = np.array([0, *accumulate(rows)], np.int64)
        sizes = [size for edition in by_digest for size in edition.groups]
        self._bounds = np.array([0, *accumulate(sizes)], np.int64)
        first_groups = [0, *accumulate(len(edition.groups) for edition in by_digest)]
        digests = [edition.digest for edition in by_digest]
        self._groups = dict(zip(digests, pairwise(first_groups), strict=True))
        self.num_rows, self.num_groups = int(self._bounds[-1]), len(sizes)

    def rows_of(self, records: pa.RecordBatch) -> Numbers:
        """Return the number of the row that each record was made from, `[n]`."""
        if not {EDITION_DIGEST, EDITION_ROW}.issubset(records.schema.names):
            return np.full(len(records), -1, np.int64)
        digests = _filled(records[EDITION_DIGEST], 0)
        rows = _filled(records[EDITION_ROW], -1)
        at = np.searchsorted(self._digests, digests).clip(max=len(self._digests) - 1)
        known = (self._digests[at] == digests) & (rows >= 0) & (rows < self._rows[at])
        return np.where(known, self._first_rows[at] + rows, -1)

    def groups_of(self, rows: Numbers) -> Numbers:
        """Return the group of each row, `[n]`."""
        return np.searchsorted(self._bounds, rows, side="right") - 1

    def pieces(self, of_rows: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield the values of each group's rows, of `[num_rows]` values."""
        return (of_rows[start:stop] for start, stop in pairwise(self._bounds.tolist()))

    def of(self, edition: Edition) -> slice:
        """Return the numbers of an edition's groups; of an unknown one, none."""
        return slice(*self._groups.get(edition.digest, (0, 0)))


def _filled(column: pa.Array, value: int) -> Numbers:
    filled = column.fill_null(value) if column.null_count else column
    return np.asarray(filled.to_numpy())
