from __future__ import annotations

import pytest

from pipelines.config.output import OnErrorConfig
from pipelines.driver.budget import check_budget
from pipelines.errors import TooManyFailuresError
from pipelines.failures import Failure, FailureCode
from pipelines.telemetry.stats import RECENT_ROWS, RunStats


def fail(stats: RunStats, count: int, code: FailureCode = "uri_forbidden") -> None:
    for n in range(count):
        stats.add_failed(f"{code}-{n}", Failure(code, f"said {code}"))


def test_so_many_failures_in_a_row_stop_the_run_with_their_own_cause() -> None:
    stats = RunStats()
    fail(stats, 5000, "uri_not_found")
    stats.add_completed(1)
    fail(stats, 99, "uri_forbidden")
    config = OnErrorConfig(max_recent_fraction=None)
    check_budget(stats, config)
    fail(stats, 1, "uri_forbidden")
    with pytest.raises(TooManyFailuresError, match=r"100 rows .* said uri_forbidden") as caught:
        check_budget(stats, config)
    assert "--retry-failed" in str(caught.value)
    assert "change on_error.max_consecutive" in str(caught.value)
    check_budget(stats, OnErrorConfig(max_consecutive=None, max_recent_fraction=None))


def test_a_completed_row_begins_the_count_anew() -> None:
    stats = RunStats()
    for _ in range(5):
        fail(stats, 99)
        stats.add_completed(1)
    check_budget(stats, OnErrorConfig())


def test_rejected_rows_say_nothing_about_the_run() -> None:
    stats = RunStats()
    fail(stats, 99)
    fail(stats, 10_000, "invalid_request")
    check_budget(stats, OnErrorConfig())
    fail(stats, 1)
    with pytest.raises(TooManyFailuresError):
        check_budget(stats, OnErrorConfig())


def test_a_run_in_which_now_and_then_a_row_passes_is_stopped_too() -> None:
    config = OnErrorConfig(max_recent_fraction=0.9)
    stats = RunStats()
    for _ in range(RECENT_ROWS // 20):
        fail(stats, 19)
        check_budget(stats, config)  # too early to tell, up to the last round
        stats.add_completed(1)
    with pytest.raises(TooManyFailuresError, match=r"95% of the last 1,000 rows"):
        check_budget(stats, config)
    check_budget(stats, OnErrorConfig(max_recent_fraction=0.95))
    check_budget(stats, OnErrorConfig(max_recent_fraction=None))


def test_a_bad_beginning_is_forgotten() -> None:
    stats = RunStats()
    fail(stats, 950)
    for _ in range(RECENT_ROWS):
        stats.add_completed(1)
    assert stats.recent_failed_fraction == 0
