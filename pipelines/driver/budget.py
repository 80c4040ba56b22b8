"""The failure budget: stop a run in which nearly every row fails, long before its end."""

from __future__ import annotations

from pipelines.config.output import OnErrorConfig
from pipelines.errors import TooManyFailuresError
from pipelines.telemetry.stats import RECENT_ROWS, FailureCount, RunStats


def check_budget(stats: RunStats, on_error: OnErrorConfig) -> None:
    """Stop a run that is obviously broken.

    Rows count when they settle, after their last attempt. Rejected rows do not count.

    Raises:
        TooManyFailuresError: too many rows failed; the message names the most frequent failure.
    """
    most = on_error.max_consecutive
    if most is not None and stats.consecutive_failed >= most:
        raise _stopped(
            f"{stats.consecutive_failed} rows failed one after the other",
            "on_error.max_consecutive",
            stats.streak_example(),
        )
    share, recent = on_error.max_recent_fraction, stats.recent_failed_fraction
    if share is not None and recent is not None and recent > share:
        raise _stopped(
            f"{recent:.0%} of the last {RECENT_ROWS:,} rows failed",
            "on_error.max_recent_fraction",
            stats.failure_examples()[0],
        )


def _stopped(what: str, key: str, worst: FailureCount) -> TooManyFailuresError:
    return TooManyFailuresError(
        f"{what} ({key}), most of them with {worst.code}, e.g. row {worst.row_id!r}: "
        f"{worst.message}. Fix the cause and rerun the same command with --retry-failed; if such "
        f"rows are expected, change {key}"
    )
