"""Summary of a run: counts, failures, rate over time, time per stage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.failures import CODES
from pipelines.ledger.flags import FlagCounts
from pipelines.ledger.licences import LicenceTally
from pipelines.record import MODEL_LICENCE, NSFW_CONTENTS
from pipelines.tools.report.values import visible

STAGES = ("fetch", "condition", "inference", "decode", "store")
_NAMES = ("model", "device", MODEL_LICENCE)
_EXAMPLES = 3
_MOST_BARS = 96
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


class Example(NamedTuple):
    """One failed row."""

    row_id: str
    message: str


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The rows that failed with one code."""

    code: str
    meaning: str
    stage: str
    retryable: bool
    rows: int
    examples: tuple[Example, ...]


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


@dataclass(frozen=True, slots=True)
class StageTime:
    """Milliseconds per row in one stage, over the rows that passed it."""

    stage: str
    rows: int
    mean: float
    median: float
    p95: float
    longest: float
    share: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of the first screen.

    Attributes:
        model_licences: licences of the base models.
        references: number of different references, styles of a library included.
        licences: number of them by licence; one may have several.
        wishes: number of references whose owners do not want them used for AI.
        workers: number of workers of the last run.
    """

    completed: int
    failed: int
    images: int
    flags: FlagCounts
    models: tuple[str, ...]
    model_licences: tuple[str, ...]
    references: int
    licences: Mapping[str, int]
    wishes: int
    devices: tuple[str, ...]
    workers: int
    failures: tuple[FailureGroup, ...]
    rates: tuple[RunRate, ...]
    stages: tuple[StageTime, ...]

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return self.completed + self.failed


class Tally:
    """Adds up batches of records; keeps 40 bytes per row, and a few texts as examples."""

    def __init__(self) -> None:
        self._images = 0
        self._flags = FlagCounts()
        self._codes: Counter[str] = Counter()
        self._examples: dict[str, list[Example]] = defaultdict(list)
        self._names: dict[str, set[str]] = {name: set() for name in _NAMES}
        self._licences = LicenceTally()
        self._workers: dict[str, set[str]] = defaultdict(set)
        self._runs: dict[str, int] = {}
        self._run: list[npt.NDArray[np.int32]] = []
        self._failed: list[npt.NDArray[np.bool_]] = []
        self._at: list[npt.NDArray[np.int64]] = []
        self._ms: dict[str, list[npt.NDArray[np.float32]]] = {stage: [] for stage in STAGES}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of records with all columns that `pipelines.tools.report.records` reads."""
        self._images += pc.sum(pc.list_value_length(batch["outputs"])).as_py() or 0
        self._flags += FlagCounts.of(batch[NSFW_CONTENTS])
        failed = pc.not_equal(batch["status"], "completed")
        self._failed.append(failed.to_numpy(zero_copy_only=False))
        self._at.append(batch["created_at"].cast(pa.int64()).to_numpy())
        self._run.append(self._run_numbers(batch["run_id"]))
        for name, seen in self._names.items():
            seen.update(value for value in pc.unique(batch[name]).to_pylist() if value)
        self._licences.add(batch)
        self._add_workers(batch)
        self._add_timings(batch["timings"])
        self._add_failures(batch.select(["id", "error"]).filter(failed))

    def summary(self) -> Summary:
        """Return the summary of all batches."""
        failed = sum(self._codes.values())
        return Summary(
            completed=sum(map(len, self._failed)) - failed,
            failed=failed,
            images=self._images,
            flags=self._flags,
            models=tuple(map(visible, sorted(self._names["model"]))),
            model_licences=tuple(map(visible, sorted(self._names[MODEL_LICENCE]))),
            references=self._licences.references,
            licences={visible(name): count for name, count in self._licences.counts().items()},
            wishes=self._licences.wishes,
            devices=tuple(map(visible, sorted(self._names["device"]))),
            workers=len(self._workers[max(self._workers)]) if self._workers else 0,
            failures=tuple(self._groups()),
            rates=tuple(self._rates()),
            stages=tuple(self._stages()),
        )

    def _add_workers(self, batch: pa.RecordBatch) -> None:
        pairs = pa.table(batch.select(["run_id", "worker"])).group_by(["run_id", "worker"])
        for pair in pairs.aggregate([]).to_pylist():
            self._workers[pair["run_id"]] |= {pair["worker"]} - {None}

    def _run_numbers(self, run_ids: pa.Array) -> npt.NDArray[np.int32]:
        coded = run_ids.dictionary_encode()
        known = [
            self._runs.setdefault(name, len(self._runs)) for name in coded.dictionary.to_pylist()
        ]
        numbers: npt.NDArray[np.int32] = np.asarray(known, np.int32)[coded.indices.to_numpy()]
        return numbers

    def _add_timings(self, timings: pa.StructArray) -> None:
        names = [field.name for field in timings.type]
        for name, values in zip(names, timings.flatten(), strict=True):
            if name in self._ms:
                kept = values.drop_null().to_numpy(zero_copy_only=False)
                self._ms[name].append(kept.astype(np.float32))

    def _add_failures(self, failures: pa.RecordBatch) -> None:
        for row_id, error in zip(
            failures["id"].to_pylist(), failures["error"].to_pylist(), strict=True
        ):
            code = (error or {}).get("code") or "internal"
            self._codes[code] += 1
            if len(self._examples[code]) < _EXAMPLES:
                message = (error or {}).get("message") or ""
                self._examples[code].append(Example(visible(row_id), visible(message, 600)))

    def _groups(self) -> Iterator[FailureGroup]:
        facts = {str(code): fact for code, fact in CODES.items()}
        for code, rows in self._codes.most_common():
            fact = facts.get(code)
            yield FailureGroup(
                code=visible(code),
                meaning=fact.meaning if fact else "unknown to this version",
                stage=fact.stage if fact else "",
                retryable=fact.retryable if fact else False,
                rows=rows,
                examples=tuple(self._examples[code]),
            )

    def _rates(self) -> Iterator[RunRate]:
        at, failed, run = (
            np.concatenate([np.empty(0, kind), *parts])
            for kind, parts in ((np.int64, self._at), (bool, self._failed), (np.int32, self._run))
        )
        order = sorted(self._runs.items(), key=lambda item: item[0])
        for name, index in order:
            mine = run == index
            yield _rate(name, at[mine], failed[mine].astype(bool))

    def _stages(self) -> Iterator[StageTime]:
        joined = {stage: np.concatenate(parts) for stage, parts in self._ms.items() if parts}
        times = {stage: ms for stage, ms in joined.items() if len(ms)}
        total = sum(float(ms.sum(dtype=np.float64)) for ms in times.values())
        for stage, ms in times.items():
            median, p95 = (float(value) for value in np.percentile(ms, [50, 95]))
            whole = float(ms.sum(dtype=np.float64))
            yield StageTime(
                stage=stage,
                rows=len(ms),
                mean=whole / len(ms),
                median=median,
                p95=p95,
                longest=float(ms.max()),
                share=whole / total if total else 0.0,
            )


def _rate(name: str, at: npt.NDArray[np.int64], failed: npt.NDArray[np.bool_]) -> RunRate:
    """Return the rate of one run.

    Args:
        name: id of the run.
        at: `[n]`, time of each record in microseconds since 1970; at least one.
        failed: `[n]`, True for failed rows.
    """
    first, last = int(at.min()), int(at.max())
    step_s = next(
        (step for step in _STEPS_S if (last - first) / 1e6 / step < _MOST_BARS),
        86400 * (1 + (last - first) // (86_400_000_000 * (_MOST_BARS - 1))),
    )
    bins = (at - first) // (step_s * 1_000_000)
    count = int(bins.max()) + 1
    all_rows = np.bincount(bins, minlength=count)
    bad = np.bincount(bins[failed], minlength=count)
    bars = tuple(Bar(int(n - b), int(b)) for n, b in zip(all_rows, bad, strict=True))
    return RunRate(visible(name), _utc(first), _utc(last), step_s, bars)


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, timezone.utc)
