"""Distances between the pictures of two runs: of each pair, and a summary."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipelines.psnr import Distance
from pipelines.tools.report.facets import NumberColumn, comparison, number_column
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.pictures import Picture, results
from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.row_table import Row, RowTable
from pipelines.tools.report.values import visible

PSNR = "PSNR, dB"
_LOWEST = 5
_AT_ONCE = 1 << 13


class PicturePair(NamedTuple):
    """The two versions of one picture of a row, one from each run."""

    here: Picture
    there: Picture

    @property
    def same_file(self) -> bool:
        """True if both files have the same bytes according to the records."""
        return self.here.key == self.there.key


class LowPair(NamedTuple):
    """One of the rows whose pictures differ most.

    Attributes:
        row: number of the row.
        row_id: id of the row, as the page shows it.
        psnr: PSNR in dB; the lowest one if the row has several pictures.
    """

    row: int
    row_id: str
    psnr: float


@dataclass(frozen=True, slots=True)
class DistanceSummary:
    """All pairs of pictures, each counted once, as the first screen shows them.

    Attributes:
        identical: pairs without any difference.
        measured: pairs that differ and have a PSNR.
        median: median PSNR of the measured pairs, in dB; None without such pairs.
        lowest: the rows with the lowest PSNR, lowest first.
        different_sizes: pairs that cannot be compared.
        not_read: pairs with a file that could not be read.
        not_measured: pairs of rows without thumbnails, unless their files are the same.
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
        """Number of all pairs."""
        unknown = self.different_sizes + self.not_read + self.not_measured
        return self.identical + self.measured + unknown


def pairs_of(row: Row) -> list[PicturePair]:
    """Return the pairs of pictures of a row; an empty list unless both runs completed it."""
    other = row.against
    if other is None or comparison(row) not in ("same", "different"):
        return []
    here = results(row.outputs, row.sha256, "run")
    there = results(other.get("outputs"), other.get("sha256"), "other")
    return [PicturePair(*pair) for pair in zip(here, there, strict=False)]


class Distances:
    """Looks up measured distances and summarizes them; 8 bytes for each measured pair."""

    def __init__(self, table: RowTable, pictures: PictureTable) -> None:
        """Look distances up in `pictures`, where all pairs of the rows of `table` are noted."""
        self._table = table
        self._pictures = pictures
        self._words: Counter[str] = Counter()
        self._measured = array("d")
        self._rows = RowNumbers(table.folder / "distances", np.float64)
        self._recent = array("d")
        self._lowest: list[tuple[float, int]] = []

    def take(self, row: Row) -> list[Distance | None]:
        """Add the next row, and return the distance of each of its pairs; None if not measured."""
        found = [self._distance(pair) for pair in pairs_of(row)]
        measured = [value for value in found if isinstance(value, float)]
        self._words.update(
            value or "not measured" for value in found if not isinstance(value, float)
        )
        self._measured.extend(measured)
        self._recent.append(min(measured, default=np.nan))
        if measured:
            self._lowest = sorted([*self._lowest, (min(measured), row.number)])[:_LOWEST]
        if len(self._recent) >= _AT_ONCE:
            self._flush()
        return found

    def _flush(self) -> None:
        self._rows.add(np.asarray(self._recent))
        self._recent = array("d")

    def columns(self) -> list[NumberColumn]:
        """Return the rows' PSNR as a column for filters and order, if any was measured."""
        self._flush()
        column = number_column("psnr", PSNR, self._rows)
        return [] if column is None else [column]

    def summary(self) -> DistanceSummary:
        """Return the summary of all rows."""
        return DistanceSummary(
            identical=self._words["identical"],
            measured=len(self._measured),
            median=float(np.median(self._measured)) if self._measured else None,
            lowest=tuple(self._low_pairs()),
            different_sizes=self._words["different sizes"],
            not_read=self._words["not read"],
            not_measured=self._words["not measured"],
        )

    def _distance(self, pair: PicturePair) -> Distance | None:
        if pair.same_file:
            return "identical"
        return self._pictures.distance(pair.here.key, pair.there.key)

    def _low_pairs(self) -> list[LowPair]:
        if not self._lowest:
            return []
        numbers = np.array(sorted(number for _, number in self._lowest), np.int64)
        ids = dict(zip(numbers.tolist(), self._table.take(numbers)["id"].to_pylist(), strict=True))
        return [LowPair(number, visible(ids[number]), psnr) for psnr, number in self._lowest]
