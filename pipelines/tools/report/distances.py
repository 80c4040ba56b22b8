"""How far a run's pictures are from another run's: of each pair, and of all together."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipelines.tools.report.facets import NumberColumn, comparison, number_column
from pipelines.tools.report.pictures import Picture, results
from pipelines.tools.report.psnr import Distance
from pipelines.tools.report.row_table import Row, RowTable

PSNR = "PSNR, dB"
_LOWEST = 5


class PicturePair(NamedTuple):
    """What the two runs have drawn for one picture of a row."""

    here: Picture
    there: Picture

    @property
    def same_file(self) -> bool:
        """Whether the records say that both are the same, byte for byte."""
        return self.here.key == self.there.key


class LowPair(NamedTuple):
    """One of the rows whose pictures are farthest apart.

    Attributes:
        row: its number.
        row_id: as the page shows it.
        psnr: in dB; of several pictures the lowest.
    """

    row: int
    row_id: str
    psnr: float


@dataclass(frozen=True, slots=True)
class DistanceSummary:
    """What the first screen says of all pairs of pictures; each is counted once.

    Attributes:
        identical: pairs without any difference.
        measured: pairs that differ and have a PSNR.
        median: of the measured pairs, in dB; None: there are none.
        lowest: the rows with the lowest PSNR, lowest first.
        different_sizes: pairs that cannot be compared.
        not_read: pairs of which a file could not be read.
        not_measured: pairs of rows that get no thumbnails, unless their files are the same.
    """

    identical: int
    measured: int
    median: float | None
    lowest: tuple[LowPair, ...]
    different_sizes: int
    not_read: int
    not_measured: int

    @property
    def pairs(self) -> int:
        """All of them."""
        unknown = self.different_sizes + self.not_read + self.not_measured
        return self.identical + self.measured + unknown


def pairs_of(row: Row) -> list[PicturePair]:
    """The pictures of a row that both runs have completed, one by one; else none."""
    if row.against is None or comparison(row) not in ("same", "different"):
        return []
    both = zip(results(row.record.shown, "run"), results(row.against, "other"), strict=False)
    return [PicturePair(here, there) for here, there in both]


class Distances:
    """Looks up what was measured, and adds it up; 8 bytes a row and 8 a measured pair."""

    def __init__(self, table: RowTable) -> None:
        """Take what `table` knows once all pictures were read."""
        self._table = table
        self._words: Counter[str] = Counter()
        self._measured = array("d")
        self._rows = array("d")

    def take(self, row: Row) -> list[Distance | None]:
        """Of each pair of the next row how far apart it is; None: not measured."""
        found = [self._distance(pair) for pair in pairs_of(row)]
        measured = [value for value in found if isinstance(value, float)]
        self._words.update(
            value or "not measured" for value in found if not isinstance(value, float)
        )
        self._measured.extend(measured)
        self._rows.append(min(measured, default=np.nan))
        return found

    def columns(self) -> list[NumberColumn]:
        """The rows' PSNR as a number to filter and order by, where any was measured."""
        column = number_column(PSNR, self._rows)
        return [] if column is None else [column]

    def summary(self) -> DistanceSummary:
        """What the rows come to."""
        return DistanceSummary(
            identical=self._words["identical"],
            measured=len(self._measured),
            median=float(np.median(self._measured)) if self._measured else None,
            lowest=tuple(self._lowest()),
            different_sizes=self._words["different sizes"],
            not_read=self._words["not read"],
            not_measured=self._words["not measured"],
        )

    def _distance(self, pair: PicturePair) -> Distance | None:
        if pair.same_file:
            return "identical"
        return self._table.distance(pair.here.key, pair.there.key)

    def _lowest(self) -> list[LowPair]:
        rows = np.asarray(self._rows)
        order = np.argsort(rows, kind="stable")[:_LOWEST].tolist()  # NaN comes last
        return [
            LowPair(number, self._table.row(number).record.shown["id"], float(rows[number]))
            for number in order
            if not np.isnan(rows[number])
        ]
