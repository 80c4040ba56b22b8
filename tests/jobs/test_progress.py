from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial

import pytest
from rich.console import Console

from jobs.progress import (
    LiveDisplay,
    PeriodicDisplay,
    display_for,
    print_line,
    rows_line,
    workers_line,
)
from pipelines.config.telemetry import LoggingConfig
from pipelines.telemetry.logs import JsonFormatter
from pipelines.telemetry.snapshot import Snapshot
from tests.clock import Clock

RUNNING = Snapshot(
    total=1200,
    completed=300,
    failed=12,
    skipped=88,
    images=310,
    elapsed_s=100,
    images_per_s=3.1,
    eta_s=266.4,
    actors_ready=3,
    actors_total=4,
    in_flight=9,
    waiting_for="fetching",
)


def test_rows_line_shows_progress_and_speed() -> None:
    assert rows_line(RUNNING) == (
        "400 of 1,200 rows · 12 failed · 88 recorded before · 3.10 images/s · 0:04:26 to go"
    )


def test_rows_line_leaves_out_unknown_numbers() -> None:
    unknown = replace(RUNNING, total=None, eta_s=None, skipped=0)
    assert rows_line(unknown) == "312 rows · 12 failed · 3.10 images/s"


def test_workers_line_shows_the_current_wait() -> None:
    assert workers_line(RUNNING) == "3 of 4 actors ready · 9 rows in flight · fetching"
    assert workers_line(replace(RUNNING, waiting_for="")) == (
        "3 of 4 actors ready · 9 rows in flight"
    )


def test_workers_line_is_short_before_there_are_workers() -> None:
    assert workers_line(Snapshot(waiting_for="starting Ray")) == "starting Ray"


def test_plain_lines_come_at_the_start_every_thirty_seconds_and_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with PeriodicDisplay(partial(print_line, Console(file=stream, width=60)), clock) as display:
        for second in range(75):
            clock.now = 50.0 + second
            display.update(replace(RUNNING, elapsed_s=second))
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == [
        "[0:00:00]",
        "[0:00:30]",
        "[0:01:00]",
        "[0:01:14]",
    ]
    assert "400 of 1,200 rows" in lines[0]


def test_the_last_plain_line_is_not_repeated() -> None:
    stream = io.StringIO()
    with PeriodicDisplay(partial(print_line, Console(file=stream)), Clock()) as display:
        display.update(RUNNING)
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_the_live_display_and_a_file_does_not() -> None:
    terminal, file = Console(file=io.StringIO(), force_terminal=True), Console(file=io.StringIO())
    assert isinstance(display_for(terminal, LoggingConfig()), LiveDisplay)
    assert isinstance(display_for(file, LoggingConfig()), PeriodicDisplay)


def test_progress_in_a_json_log_is_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "jobs.progress")
    stream = io.StringIO()
    with display_for(Console(file=stream), LoggingConfig(format="json")) as display:
        display.update(RUNNING)
    line = json.loads(JsonFormatter().format(caplog.records[0]))
    assert (line["event"], line["total"], line["completed"]) == ("run_progress", 1200, 300)
    assert (line["eta_s"], line["waiting_for"]) == (266.4, "fetching")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("total", [1200, None])
def test_live_display_shows_both_lines(total: int | None) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, legacy_windows=False)
    with LiveDisplay(console) as display:
        display.update(replace(RUNNING, total=total))
    shown = stream.getvalue()
    assert "12 failed" in shown
    assert "3 of 4 actors ready" in shown
