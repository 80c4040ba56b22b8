"""When a run that goes wrong for (nearly) every row is stopped, long before its end."""

from __future__ import annotations

from pipelines.config.output import OnErrorConfig
from pipelines.errors import TooManyFailuresError
from pipelines.telemetry.stats import RECENT_ROWS, FailureExample, RunStats


def check_budget(stats: RunStats, on_error: OnErrorConfig) -> None:
    """Stop a run that is obviously broken; rows that were rejected unseen do not count.

    Rows count when they settle, after all their tries.

    Raises:
        TooManyFailuresError: it is; the message names the most frequent failure.
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


def _stopped(what: str, key: str, worst: FailureExample) -> TooManyFailuresError:
    return TooManyFailuresError(
        f"{what} ({key}), most of them with {worst.code}, e.g. row {worst.row_id!r}: "
        f"{worst.message}. Mend the cause and run the same command with --retry-failed; where such "
        f"rows are to be expected, change {key}"
    )
