"""Events of a run, sent to a real web server; threads play the workers."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.announcer import RunAnnouncer
from pipelines.driver.driver import Driver
from pipelines.driver.prepare import PreparedRun, prepare
from pipelines.driver.signals import StopRequest
from pipelines.driver.summary import summarize
from pipelines.errors import BrokenOffError, ConfigError, StorageError, TooManyFailuresError
from pipelines.rows import ManifestRow, Outcome
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from tests.pipelines import http_origin as http
from tests.pipelines.driver.test_driver import config, failing, names, ok, write_rows
from tests.pipelines.http_origin import Origin
from tests.pipelines.inprocess_pool import InProcessPool, Work

SECRET = secrets.token_hex(16)


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    monkeypatch.setenv("USO_TEST_WEBHOOK_SECRET", SECRET)
    with http.serving() as origin:
        origin.on("/hook", http.status(200))
        yield origin


def watched(folder: Path, url: str, **sections: dict[str, Any]) -> RunConfig:
    notify = {"url": url, "secret": "${USO_TEST_WEBHOOK_SECRET}", "every_percent": 25}
    return config(folder, notify=notify, output={"commit_seconds": 0.2}, **sections)


def run(settings: RunConfig, work: Work) -> tuple[int, PreparedRun]:
    stats = RunStats()
    with prepare(settings) as prepared, StopRequest() as stop:
        progress = ProgressReporter(None, stats)
        progress.total = prepared.manifest.total_rows
        with RunAnnouncer(prepared, stats, progress) as announcer:
            with announcer.telling_of_faults():
                driver = Driver(prepared, stats, progress, stop)
                if driver.find_work():
                    driver.work(InProcessPool(2, work))
                driver.close()
            summary = summarize(prepared, stats, interrupted=not driver.reached_end)
            return announcer.ended(summary), prepared


def told(origin: Origin) -> list[dict[str, Any]]:
    return [json.loads(body) for body in origin.bodies]


def test_a_run_is_told_from_start_to_end(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(8))
    undelivered, prepared = run(watched(tmp_path, origin.url("/hook")), ok)
    events = told(origin)
    assert undelivered == 0
    assert (events[0]["event"], events[-1]["event"]) == ("start", "end")
    assert {event["id"] for event in events} == {prepared.facts.run_id}
    assert events[0]["output"]["total"] == 8
    assert events[-1]["status"] == 9
    assert events[-1]["output"]["completed"] == 8
    assert events[-1]["output"]["uri"] == str(tmp_path / "out")
    assert events[-1]["error"] is None


def test_a_run_over_its_failure_budget_says_so_at_its_end(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(4))
    run(watched(tmp_path, origin.url("/hook")), failing("uri_not_found"))
    last = told(origin)[-1]
    assert (last["event"], last["status"]) == ("end", 9)
    assert "100.00% of the rows failed" in last["error"]
    assert last["output"]["failed_by_code"] == {"uri_not_found": 4}


def test_a_run_that_cannot_go_on_tells_its_failure(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(2000))
    with pytest.raises(TooManyFailuresError):
        run(watched(tmp_path, origin.url("/hook")), failing("uri_not_found"))
    last = told(origin)[-1]
    assert (last["event"], last["status"], last["status_name"]) == ("failure", 10, "failed")
    assert last["error"].startswith("TooManyFailuresError: ")


def test_storage_that_fails_under_way_breaks_the_run_off(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(3))
    stats = RunStats()
    progress = ProgressReporter(None, stats)
    with (
        prepare(watched(tmp_path, origin.url("/hook"))) as prepared,
        pytest.raises(BrokenOffError, match="disk is full"),
        RunAnnouncer(prepared, stats, progress) as announcer,
        announcer.telling_of_faults(),
    ):
        raise StorageError("/out/records", "the disk is full")
    assert [event["event"] for event in told(origin)] == ["start", "failure"]


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_cut_short_is_told_as_cancelled(
    tmp_path: Path, origin: Origin, signal: type[BaseException]
) -> None:
    write_rows(tmp_path, names(3))
    stats = RunStats()
    progress = ProgressReporter(None, stats)
    with (
        prepare(watched(tmp_path, origin.url("/hook"))) as prepared,
        pytest.raises(signal),
        RunAnnouncer(prepared, stats, progress) as announcer,
        announcer.telling_of_faults(),
    ):
        raise signal
    last = told(origin)[-1]
    assert (last["event"], last["status"], last["status_name"]) == ("end", 11, "cancelled")


def test_progress_is_told_while_rows_are_drawn(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(8))

    def work(row: ManifestRow) -> Outcome:
        # The second half waits until half-way is told.
        while row.id in names(8)[5:] and not any(e["event"] == "progress" for e in told(origin)):
            time.sleep(0.01)
        return ok(row)

    undelivered, _ = run(
        watched(tmp_path, origin.url("/hook"), stylize={"rows_in_flight": 1, "gpus_per_actor": 0}),
        work,
    )
    assert undelivered == 0
    progress = [event for event in told(origin) if event["event"] == "progress"]
    assert progress
    assert all(event["status"] == 7 for event in progress)
    assert 25 <= progress[0]["output"]["percent"] < 100


def test_the_secret_is_nowhere_in_the_output(tmp_path: Path, origin: Origin) -> None:
    write_rows(tmp_path, names(2))
    run(watched(tmp_path, origin.url("/hook")), ok)
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not any(SECRET.encode() in data or b"/hook" in data for data in files)


def test_a_secret_that_is_not_set_is_told_before_anything_starts(tmp_path: Path) -> None:
    write_rows(tmp_path, names(2))
    settings = config(tmp_path, notify={"url": "https://h.example", "secret": "${NOT_SET_HERE}"})
    with pytest.raises(ConfigError, match="NOT_SET_HERE"), prepare(settings):
        pass
    assert not (tmp_path / "out").exists()
