"""Summary of a run: counts, failures, rate over time, time per stage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.failures import CODES
from pipelines.ledger.flags import FlagCounts
from pipelines.ledger.licences import LicenceTally
from pipelines.record import MODEL_LICENCE, NSFW_CONTENTS
from pipelines.tools.report.rates import Rates, RunRate
from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.values import visible

STAGES = ("fetch", "condition", "inference", "decode", "store")
_NAMES = ("model", "device", MODEL_LICENCE)
_EXAMPLES = 3


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
    """Adds up batches of records; keeps a few texts as examples, and numbers of rows in files.

    Memory: while `summary` works, 8 bytes per row.
    """

    def __init__(self, folder: Path) -> None:
        """Create the files in `folder`, which the caller removes."""
        self._rows = self._images = 0
        self._flags = FlagCounts()
        self._codes: Counter[str] = Counter()
        self._examples: dict[str, list[Example]] = defaultdict(list)
        self._names: dict[str, set[str]] = {name: set() for name in _NAMES}
        self._licences = LicenceTally()
        self._workers: dict[str, set[str]] = defaultdict(set)
        self._rates = Rates(folder)
        self._ms = {stage: RowNumbers(folder / f"ms-{stage}", np.float32) for stage in STAGES}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of records with all columns that `pipelines.tools.report.records` reads."""
        self._images += pc.sum(pc.list_value_length(batch["outputs"])).as_py() or 0
        self._flags += FlagCounts.of(batch[NSFW_CONTENTS])
        failed = pc.not_equal(batch["status"], "completed")
        self._rows += len(batch)
        self._rates.add(batch["run_id"], batch["created_at"], failed)
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
            completed=self._rows - failed,
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
            rates=tuple(self._rates.rates()),
            stages=tuple(self._stages()),
        )

    def _add_workers(self, batch: pa.RecordBatch) -> None:
        pairs = pa.table(batch.select(["run_id", "worker"])).group_by(["run_id", "worker"])
        for pair in pairs.aggregate([]).to_pylist():
            self._workers[pair["run_id"]] |= {pair["worker"]} - {None}

    def _add_timings(self, timings: pa.StructArray) -> None:
        names = [field.name for field in timings.type]
        for name, values in zip(names, timings.flatten(), strict=True):
            if name in self._ms:
                self._ms[name].add(values.drop_null().to_numpy(zero_copy_only=False))

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

    def _stages(self) -> Iterator[StageTime]:
        found = [_stage_time(stage, ms.all()) for stage, ms in self._ms.items() if len(ms)]
        total = sum(whole for whole, _ in found)
        for whole, time in found:
            yield replace(time, share=whole / total if total else 0.0)


def _stage_time(stage: str, ms: npt.NDArray[np.float32]) -> tuple[float, StageTime]:
    """Return the sum of the times of a stage, at least one, and their facts; the share is 0."""
    whole, longest = float(ms.sum(dtype=np.float64)), float(ms.max())
    median, p95 = (float(v) for v in np.percentile(ms, [50, 95], overwrite_input=True))
    return whole, StageTime(
        stage=stage,
        rows=len(ms),
        mean=whole / len(ms),
        median=median,
        p95=p95,
        longest=longest,
        share=0.0,
    )
