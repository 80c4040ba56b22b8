from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.watch import View, Watcher, line, watch_command
from pipelines.failures import Failure
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.lease import LEASE_PATH, Heartbeat
from pipelines.ledger.ledger import Ledger
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.clock import Clock
from tests.jobs.test_status import record

RUN = "20260103T000000-1"
FAILURE = Failure("uri_not_found", "nothing there")


def tell(output: Storage, state: str, reason: str = "") -> None:
    document = {"run_id": RUN, "state": state, "reason": reason, "counts": {"total": 4}}
    output.write(f"run/{RUN}.json", json.dumps(document).encode())


def beat(output: Storage, number: int, run_id: str = RUN) -> None:
    heartbeat = Heartbeat(run_id, "host", "machine", 1, 0.0, number)
    output.write(LEASE_PATH, json.dumps(asdict(heartbeat)).encode())


@pytest.fixture
def ledger(storage: Storage) -> Ledger:
    return Ledger.open(storage, record_schema(pa.schema([])))


@pytest.fixture
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage.at(str(tmp_path_factory.mktemp("out")))


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("failed", 1), ("interrupted", 130)])
def test_it_follows_the_run_to_its_end(
    storage: Storage, ledger: Ledger, state: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(storage, "running")
    beat(storage, 1)
    ledger.append([record("a")])

    def record_more() -> None:
        ledger.append([record("b"), record("c", FAILURE)])

    def end() -> None:
        ledger.append([record("d")])
        tell(storage, state, reason="why")

    pauses = iter((record_more, end))
    exit_code = watch_command(
        storage.uri(), every_s=5, config_path=None, pause=lambda _seconds: next(pauses)()
    )
    stdout = capsys.readouterr().out
    assert exit_code == code, stdout
    first, second, *rest = (line.partition("] ")[2] for line in stdout.splitlines())
    assert first.startswith("1 of 4 rows recorded · 0 failed · ")
    assert second.startswith("3 of 4 rows recorded · 1 failed · ")
    assert set(rest) == {""}
    assert f"{RUN}: {state}: why" in stdout
    assert "recorded   4 rows" in stdout
    assert "c: nothing there" in stdout


@pytest.mark.parametrize(("state", "code"), [("completed", 0), ("failed", 1), ("interrupted", 130)])
def test_a_run_that_has_ended_is_not_waited_for(
    storage: Storage, ledger: Ledger, state: str, code: int
) -> None:
    tell(storage, state)
    ledger.append([record("a")])
    result = CliRunner().invoke(app, ["status", storage.uri(), "--watch", "--every", "3600"])
    assert result.exit_code == code, result.output
    assert "recorded   1 rows" in result.stdout


def test_the_silence_of_a_driver_is_measured(storage: Storage, ledger: Ledger) -> None:
    tell(storage, "running")
    clock = Clock()
    watcher = Watcher(storage, clock)
    silences = []
    for second in range(0, 160, 10):
        clock.now = 50.0 + second
        if second <= 80:
            beat(storage, second)
        view = watcher.look()
        assert view is not None
        silences.append(view.silent_s)
    assert silences[:9] == [0] * 9
    assert silences[-1] == 70


def test_a_silent_driver_ends_the_command(
    storage: Storage, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.watch.SILENCE_S", -1)  # so that any driver counts as silent
    tell(storage, "running")
    beat(storage, 1)
    result = CliRunner().invoke(app, ["status", storage.uri(), "--watch"])
    assert result.exit_code == 1
    assert f"run {RUN} says running, but its driver has given no sign of life" in result.stderr


@pytest.mark.parametrize("earlier", ["completed", "failed", "interrupted", None])
def test_a_run_that_is_starting_is_waited_for(
    storage: Storage, ledger: Ledger, earlier: str | None
) -> None:
    """Its driver holds the lease and reads the records, but has no run file yet."""
    if earlier is not None:
        tell(storage, earlier)
    ledger.append([record("a")])
    beat(storage, 1, "20260104T000000-2")
    view = Watcher(storage).look()
    assert view is not None
    assert (view.run["run_id"], view.run["state"]) == ("20260104T000000-2", "starting")
    assert view.active
    assert line(view) == "1 rows recorded · 0 failed · 0.00 rows/s · a run is starting"


def test_the_silence_of_a_driver_that_died_while_starting_is_measured(
    storage: Storage, ledger: Ledger
) -> None:
    tell(storage, "completed")
    beat(storage, 1, "20260104T000000-2")
    clock = Clock()
    watcher = Watcher(storage, clock)
    watcher.look()
    clock.now += 70
    view = watcher.look()
    assert view is not None
    assert (view.run["state"], view.silent_s) == ("starting", 70)


def test_a_run_that_has_ended_but_still_holds_its_lease_has_ended(
    storage: Storage, ledger: Ledger
) -> None:
    tell(storage, "completed")
    beat(storage, 9)
    view = Watcher(storage).look()
    assert view is not None
    assert (view.run["state"], view.active) == ("completed", False)


def test_the_rate_covers_the_last_minute(storage: Storage, ledger: Ledger) -> None:
    tell(storage, "running")
    clock = Clock()
    watcher = Watcher(storage, clock)
    first = watcher.look()
    assert first is not None
    assert (first.rows_per_s, first.eta_s) == (0, None)
    ledger.append([record("a"), record("b")])
    clock.now += 8
    second = watcher.look()
    assert second is not None
    assert (second.rows_per_s, second.eta_s) == (0.25, 8)
    clock.now += 100
    assert watcher.look() is not None
    clock.now += 10
    last = watcher.look()
    assert last is not None
    assert last.rows_per_s == 0


def test_a_line_without_a_known_number_of_rows() -> None:
    counts = LedgerCounts(1200, 3, {"internal": 3}, {})
    view = View(counts, {"state": "running", "run_id": RUN, "total": None}, 2.5, 0)
    assert line(view) == "1,203 rows recorded · 3 failed · 2.50 rows/s"


def test_an_output_without_runs_is_an_error(storage: Storage) -> None:
    result = CliRunner().invoke(app, ["status", storage.uri(), "--watch"])
    assert result.exit_code == 2
    assert "no run" in result.stderr


def test_it_cannot_be_combined_with_json(storage: Storage) -> None:
    result = CliRunner().invoke(app, ["status", storage.uri(), "--watch", "--json"])
    assert result.exit_code == 2
