"""The result of a run: counts, failures and the state of its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.driver.prepare import PreparedRun
from pipelines.packing.pack import PackFacts
from pipelines.telemetry.stats import FailureExample, RunStats
from uso_core.model.cache import Lookups


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended.

    Attributes:
        completed: rows that this run completed.
        failed: rows that this run recorded as failed.
        skipped: rows that were recorded before and left as they were.
        changed: rows that were recorded before and have changed since.
        images: drawn by this run.
        failed_fraction: failed of all rows recorded in the output, those of earlier runs included.
        within_budget: `failed_fraction` is at most `on_error.max_failed_fraction`.
        interrupted: the run was asked to stop before its end; the same command goes on.
        first_image_s: from the run's begin to its first completed row; None: there was none.
        undelivered_events: of those that `notify` asks for.
        caches: what workers had to make or fetch, and what they found in memory, by kind.
        dataset: into which the images were packed; None: `output.layout` asks for none.
    """

    run_id: str
    output_uri: str
    completed: int
    failed: int
    skipped: int
    changed: int
    images: int
    failures: tuple[FailureExample, ...]
    elapsed_s: float
    images_per_s: float
    first_image_s: float | None
    failed_fraction: float
    within_budget: bool
    interrupted: bool
    undelivered_events: int = 0
    caches: Mapping[str, Lookups] = field(default_factory=dict)
    dataset: PackFacts | None = None


def summarize(job: PreparedRun, stats: RunStats, *, interrupted: bool) -> RunSummary:
    """How the run ended, with the output's records taken into account."""
    counts = job.ledger.counts()
    recorded = counts.completed + counts.failed
    failed_fraction = counts.failed / recorded if recorded else 0.0
    elapsed_s = stats.elapsed_s
    return RunSummary(
        run_id=job.facts.run_id,
        output_uri=job.output.uri(""),
        completed=stats.completed,
        failed=stats.failed,
        skipped=stats.skipped,
        changed=stats.changed,
        images=stats.images,
        failures=stats.failure_examples(),
        elapsed_s=elapsed_s,
        images_per_s=stats.images / elapsed_s if elapsed_s else 0.0,
        first_image_s=stats.first_image_s,
        failed_fraction=failed_fraction,
        within_budget=failed_fraction <= job.config.on_error.max_failed_fraction,
        interrupted=interrupted,
        caches=stats.caches.total,
    )
