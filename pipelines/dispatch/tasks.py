"""A row in the dispatcher, and the policy that the dispatcher follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pipelines.config.cluster import StylizeConfig
from pipelines.failures import Failure
from pipelines.rows import Entry, ManifestEntry, ManifestRow, Outcome
from uso_core.loading.dimensions import EncodingCosts

URGENT_ROWS = 2
"""Urgent rows that a worker takes beside its other rows: one on the device, and one whose
references are fetched meanwhile."""


@dataclass(frozen=True, slots=True)
class DispatchPolicy:
    """The numbers of `StylizeConfig` that the dispatcher follows.

    `retry_delay_s` is the wait before the second attempt of a row; it doubles with each attempt.
    `urgent_rows`: see `URGENT_ROWS`. `encoding` is what a worker saves by keeping an encoded input.
    """

    attempts: int = 3
    row_timeout_s: float = 1800
    start_attempts: int = 3
    min_workers: int = 1
    placement_timeout_s: float = 1800
    rows_in_flight: int | None = None
    max_rows_in_flight: int = 8
    urgent_rows: int = URGENT_ROWS
    batch_images: int = 1
    retry_delay_s: float = 1.0
    encoding: EncodingCosts = field(default_factory=EncodingCosts)

    @classmethod
    def from_config(cls, config: StylizeConfig, encoding: EncodingCosts) -> DispatchPolicy:
        """Make the policy of a run.

        Args:
            config: the configuration's `stylize` section.
            encoding: costs of the run's model.
        """
        fixed = None if config.rows_in_flight == "auto" else config.rows_in_flight
        return cls(
            attempts=config.attempts,
            row_timeout_s=config.row_timeout_s,
            start_attempts=config.start_attempts,
            min_workers=config.min_actors,
            placement_timeout_s=config.placement_timeout_s,
            rows_in_flight=fixed,
            max_rows_in_flight=config.most_rows_in_flight,
            batch_images=config.batch_images,
            encoding=encoding,
        )


@dataclass(slots=True)
class Task:
    """A row in the dispatcher.

    Attributes:
        attempt: attempts so far, except attempts that a worker's death ended.
        deaths_alone: workers that died while they held only this row.
        not_before: earliest time of the next attempt, on the dispatcher's clock.
        given_at: UTC time at which the row was last given to a worker; None: not yet.
    """

    entry: Entry[ManifestRow]
    attempt: int = 0
    deaths_alone: int = 0
    not_before: float = 0
    given_at: datetime | None = None

    @property
    def row(self) -> ManifestRow:
        """The row itself."""
        return self.entry.row

    def attempts(self, policy: DispatchPolicy) -> int:
        """Return the number of attempts for failures that a retry can help."""
        handling = self.row.handling
        own = None if handling is None else handling.attempts
        return policy.attempts if own is None else own

    def may_try_again(self, failure: Failure, policy: DispatchPolicy) -> bool:
        """Return True if another attempt can help, and is left.

        A pool that reports `worker_lost` itself has tried the row alone, too.
        """
        can_help = failure.retryable and failure.code != "worker_lost"
        return can_help and self.attempt < self.attempts(policy)


@dataclass(frozen=True, slots=True)
class Settled:
    """A row with its final outcome.

    Attributes:
        given_at: UTC time at which the row was last given to a worker; None: it never was.
    """

    entry: ManifestEntry
    outcome: Outcome
    attempt: int
    given_at: datetime | None = None

    @classmethod
    def of(cls, task: Task, outcome: Outcome) -> Settled:
        """Settle a task."""
        return cls(task.entry, outcome, task.attempt, task.given_at)
