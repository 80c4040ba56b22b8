"""The rate at which each run recorded rows, as bars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.values import visible

_MOST_BARS = 96
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


class Bar(NamedTuple):
    """Rows recorded in one interval."""

    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunRate:
    """The rate at which one run recorded rows.

    Attributes:
        run_id: id of the run.
        began: time of its first record.
        ended: time of its last record.
        step_s: interval of one bar, in seconds.
        bars: consecutive bars, including empty ones.
    """

    run_id: str
    began: datetime
    ended: datetime
    step_s: int
    bars: tuple[Bar, ...]

    @property
    def rows(self) -> int:
        """Rows that this run recorded and no later run replaced."""
        return sum(bar.completed + bar.failed for bar in self.bars)

    @property
    def seconds(self) -> float:
        """Seconds from the first record to the last."""
        return (self.ended - self.began).total_seconds()

    @property
    def highest(self) -> int:
        """Rows of the highest bar."""
        return max(bar.completed + bar.failed for bar in self.bars)


class Rates:
    """Takes the times of records, which it keeps in files, and then counts them by intervals."""

    def __init__(self, folder: Path) -> None:
        """Create the files in `folder`, which the caller removes."""
        self._ends: dict[str, tuple[int, int]] = {}
        self._numbers: dict[str, int] = {}
        self._run = RowNumbers(folder / "run", np.int32)
        self._at = RowNumbers(folder / "at", np.int64)
        self._failed = RowNumbers(folder / "failed", np.bool_)

    def add(self, run_ids: pa.Array, times: pa.Array, failed: pa.Array) -> None:
        """Add records: ids of their runs, times in microseconds, and which are of failed rows."""
        coded = run_ids.dictionary_encode()
        codes, at = coded.indices.to_numpy(), times.cast(pa.int64()).to_numpy()
        names = coded.dictionary.to_pylist()
        for code, name in enumerate(names):
            mine = at[codes == code]
            first, last = self._ends.get(name, (mine[0], mine[0]))
            self._ends[name] = min(int(first), int(mine.min())), max(int(last), int(mine.max()))
        known = [self._numbers.setdefault(name, len(self._numbers)) for name in names]
        self._run.add(np.array(known, np.int32)[codes])
        self._at.add(at)
        self._failed.add(failed.to_numpy(zero_copy_only=False))

    def rates(self) -> Iterator[RunRate]:
        """Yield the rate of each run, in the order of their ids."""
        bars = [_Bars(*ends) for ends in self._ends.values()]
        pieces = zip(self._run.pieces(), self._at.pieces(), self._failed.pieces(), strict=True)
        for run, at, failed in pieces:
            for number in np.unique(run).tolist():
                mine = run == number
                bars[number].add(at[mine], failed[mine])
        for name, number in sorted(self._numbers.items()):
            yield bars[number].rate(name)


class _Bars:
    """Counts the records of one run by intervals."""

    def __init__(self, first: int, last: int) -> None:
        """Know the times of the first and the last record, in microseconds since 1970."""
        self._first, self._last = first, last
        self._step_s = next(
            (step for step in _STEPS_S if (last - first) / 1e6 / step < _MOST_BARS),
            86400 * (1 + (last - first) // (86_400_000_000 * (_MOST_BARS - 1))),
        )
        count = self._intervals(np.array([last]))[0] + 1
        self._all, self._bad = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def add(self, at: npt.NDArray[np.int64], failed: npt.NDArray[np.bool_]) -> None:
        """Add records: `[n]`, their times, and which are of failed rows."""
        intervals = self._intervals(at)
        self._all += np.bincount(intervals, minlength=len(self._all))
        self._bad += np.bincount(intervals[failed], minlength=len(self._bad))

    def rate(self, name: str) -> RunRate:
        """Return the rate of the run with this id."""
        counts = zip(self._all.tolist(), self._bad.tolist(), strict=True)
        bars = tuple(Bar(rows - bad, bad) for rows, bad in counts)
        return RunRate(visible(name), _utc(self._first), _utc(self._last), self._step_s, bars)

    def _intervals(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (at - self._first) // (self._step_s * 1_000_000)


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, timezone.utc)
