"""The result of a run: counts, failures and the state of its output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pipelines.driver.prepare import PreparedRun
from pipelines.packing.pack import PackFacts
from pipelines.telemetry.stats import FailureCount, RunStats
from uso_core.model.cache import Lookups


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Result of a run.

    Attributes:
        completed: rows that this run completed.
        failed: rows that this run recorded as failed.
        skipped: rows that were recorded before and left unchanged.
        changed: rows that were recorded before and have changed since.
        lost_images: rows that were selected again because an image of theirs was missing or was
            not the recorded file.
        images: images that this run generated.
        flagged: images that the safety check flagged in this run, withheld ones included.
        extra_images: images of further tries, see `best_of`; not among `images`.
        failed_tries: further tries that failed; their rows stay completed.
        scores: mean of each score over the images of this run; None: no image has it.
        failed_fraction: share of failed rows among all records that count, earlier runs included;
            0 to 1.
        within_budget: True if `failed_fraction` is at most `on_error.max_failed_fraction`.
        interrupted: True if a signal stopped the run before its end; a rerun resumes it.
        first_image_s: seconds from the start to the first completed row; None: no row completed.
        undelivered_events: number of `notify` events that the receiver did not accept.
        caches: cache hits and misses of the workers, by kind.
        new_values: rows that were recorded before and whose records took new values of the user's
            own columns; nothing was generated.
        left_out: records that do not count, because their rows are no longer in the manifest.
        replay: counts of the rows that `on_end.replay_sample` has drawn again; None: none were.
        dataset: facts about the packed shards; None: `output.layout` asks for no dataset.
    """

    run_id: str
    output_uri: str
    completed: int
    failed: int
    skipped: int
    changed: int
    images: int
    failures: tuple[FailureCount, ...]
    elapsed_s: float
    images_per_s: float
    first_image_s: float | None
    failed_fraction: float
    within_budget: bool
    interrupted: bool
    undelivered_events: int = 0
    new_values: int = 0
    left_out: int = 0
    caches: Mapping[str, Lookups] = field(default_factory=dict)
    dataset: PackFacts | None = None
    lost_images: int = 0
    flagged: int = 0
    extra_images: int = 0
    failed_tries: int = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    replay: Mapping[str, Any] | None = None

    @property
    def is_reproduced(self) -> bool:
        """True unless a row that was drawn again is different."""
        return self.replay is None or not self.replay["different"]

    def _repr_html_(self) -> str:
        """Return the counts and an example of each failure as tables, for a notebook."""
        state = "interrupted" if self.interrupted else "ended"
        counts = [
            ("run", f"{self.run_id}, {state}"),
            ("output", self.output_uri),
            ("completed", f"{self.completed:,} rows, {self.images:,} images"),
            ("failed", f"{self.failed:,} rows; {self.failed_fraction:.2%} of all recorded rows"),
            ("skipped", f"{self.skipped:,} rows, recorded by an earlier run"),
            ("changed", f"{self.changed:,} rows, since an earlier run recorded them"),
            ("time", f"{self.elapsed_s:.1f} s, {self.images_per_s:.2f} images/s"),
        ]
        failures = [
            (each.code, f"{each.count:,}", f"{each.row_id}: {each.message}")
            for each in self.failures
        ]
        return _html_table(counts) + (_html_table(failures) if failures else "")


def summarize(prepared: PreparedRun, stats: RunStats, *, interrupted: bool) -> RunSummary:
    """Summarize a run, counting the records of its output."""
    counts = prepared.ledger.counts()
    recorded = counts.completed + counts.failed
    failed_fraction = counts.failed / recorded if recorded else 0.0
    elapsed_s = stats.elapsed_s
    return RunSummary(
        run_id=prepared.facts.run_id,
        output_uri=prepared.output.uri(""),
        completed=stats.completed,
        failed=stats.failed,
        skipped=stats.skipped,
        changed=stats.changed,
        lost_images=stats.lost_images,
        images=stats.images,
        flagged=stats.flagged,
        extra_images=stats.extra_images,
        failed_tries=stats.failed_tries,
        scores=stats.scores.by_name,
        replay=stats.replay,
        failures=stats.failure_examples(),
        elapsed_s=elapsed_s,
        images_per_s=stats.images / elapsed_s if elapsed_s else 0.0,
        first_image_s=stats.first_image_s,
        failed_fraction=failed_fraction,
        within_budget=failed_fraction <= prepared.config.on_error.max_failed_fraction,
        interrupted=interrupted,
        new_values=stats.new_values,
        left_out=counts.left_out,
        caches=stats.caches.total,
    )


def _html_table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
