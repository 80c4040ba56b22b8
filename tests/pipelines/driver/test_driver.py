"""The driver's loop over a real manifest, ledger and output; threads play the workers."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.driver import Driver
from pipelines.driver.prepare import PreparedRun, prepare
from pipelines.driver.signals import StopRequest
from pipelines.errors import (
    LeaseHeldError,
    ManifestError,
    RunError,
    StorageError,
    TooManyFailuresError,
)
from pipelines.failures import Failure, FailureCode
from pipelines.ledger.lease import LEASE_PATH, Heartbeat, Lease
from pipelines.ledger.ledger import iter_records
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage import storage
from pipelines.storage.local_files import write_file
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.stats import RunStats
from tests.pipelines.inprocess_pool import InProcessPool, Work
from tests.pipelines.manifests import write


def config(folder: Path, **sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "manifest": {"path": str(folder / "m.parquet"), **sections.pop("manifest", {})},
            "output": {"path": str(folder / "out"), **sections.pop("output", {})},
            "model": {"base": "tiny"},
            "stylize": {"gpus_per_actor": 0, "attempts": 1},
            **sections,
        }
    )


def write_rows(folder: Path, names: list[str], **columns: list[Any]) -> None:
    write(folder / "m.parquet", {"id": names, "prompt": ["x"] * len(names), **columns})


@contextmanager
def driver_of(settings: RunConfig) -> Iterator[tuple[Driver, RunStats, PreparedRun]]:
    stats = RunStats()
    with prepare(settings) as prepared, StopRequest() as stop:
        driver = Driver(prepared, stats, ProgressReporter(None, stats), stop)
        try:
            yield driver, stats, prepared
        finally:
            driver.close()


def run(settings: RunConfig, work: Work, workers: int = 2) -> tuple[RunStats, InProcessPool]:
    pool = InProcessPool(workers, work)
    with driver_of(settings) as (driver, stats, _):
        if driver.find_work():
            driver.work(pool)
    return stats, pool


def ok(row: ManifestRow) -> Outcome:
    return Outcome(row_id=row.id)


def failing(code: FailureCode) -> Work:
    return lambda row: Outcome(row_id=row.id, failure=Failure(code, f"said {code}"))


def recorded(folder: Path) -> dict[str, str]:
    batches = iter_records(Storage.at(str(folder / "out")), ["id", "status"])
    return {row["id"]: row["status"] for batch in batches for row in batch.to_pylist()}


def names(count: int) -> list[str]:
    return [f"r{n}" for n in range(count)]


# --- the start -----------------------------------------------------------------------------------


def test_rows_are_read_while_the_workers_load_up_to_a_bound(tmp_path: Path) -> None:
    write_rows(tmp_path, names(400))
    pool = InProcessPool(1, ok, room=False)
    read_ahead: list[int] = []

    class LetsThemLoad:
        def update(self, snapshot: Snapshot) -> None:
            if snapshot.actors_ready or pool.room:
                return
            read_ahead.append(snapshot.queues.read_ahead)
            if read_ahead[-1] and read_ahead[-2:] == read_ahead[-1:] * 2:  # it reads no further
                pool.find_room()

    stats = RunStats()
    with prepare(config(tmp_path)) as prepared, StopRequest() as stop:
        driver = Driver(prepared, stats, ProgressReporter(LetsThemLoad(), stats), stop)
        with closing(driver):
            assert driver.find_work()
            driver.work(pool)
    assert read_ahead[-1] == 256
    assert stats.completed == 400


# --- what stops a run that is broken for every row -----------------------------------------------


def test_an_output_that_cannot_be_written_ends_the_run_with_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path, names(1000))
    is_full: list[str] = []

    def write(path: Path, data: bytes | memoryview) -> None:
        # Only the guard's probe meets it, so that the ledger still takes finished rows.
        if is_full and path.name.startswith("probe-"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_file(path, data)

    def work(row: ManifestRow) -> Outcome:
        if row.id == "r100":
            is_full.append(row.id)
        return failing("storage_write")(row) if is_full else ok(row)

    monkeypatch.setattr(storage, "write_file", write)

    with pytest.raises(StorageError, match=r"run/probe-"):
        run(config(tmp_path), work)
    states = recorded(tmp_path)
    assert 80 < len(states) < 200
    assert set(states.values()) == {"completed"}  # rows that met it are not recorded as failed


def test_a_worker_that_cannot_write_where_the_driver_can_costs_its_rows_only(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path, names(5))
    stats, _ = run(config(tmp_path), failing("storage_write"))
    assert stats.failed == 5
    assert set(recorded(tmp_path).values()) == {"failed"}


@pytest.mark.parametrize("code", ["uri_forbidden", "uri_not_found", "internal"])
def test_the_same_failure_for_every_row_stops_the_run_early(
    tmp_path: Path, code: FailureCode
) -> None:
    write_rows(tmp_path, names(600))
    with pytest.raises(TooManyFailuresError, match=f"said {code}"):
        run(config(tmp_path), failing(code))
    assert 100 <= len(recorded(tmp_path)) < 300  # finished rows stay
    settings = config(tmp_path, on_error={"retry_failed": True})
    run(settings, ok)
    assert set(recorded(tmp_path).values()) == {"completed"}
    assert len(recorded(tmp_path)) == 600


# --- between runs --------------------------------------------------------------------------------


def test_many_rejected_rows_are_passed_quickly_on_the_way_to_the_first_valid_one(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path, names(1001), width=[7] * 1000 + [64])
    began = time.monotonic()
    stats, _ = run(config(tmp_path), ok)
    assert time.monotonic() - began < 10  # a look at the queue for each of them took 20 s
    assert (stats.failed, stats.completed) == (1000, 1)


# --- other faults of a whole run -----------------------------------------------------------------


def test_a_second_driver_is_refused_before_it_reads_the_ledger(tmp_path: Path) -> None:
    write_rows(tmp_path, names(3))
    output = Storage.at(str(tmp_path / "out"))
    with (
        Lease(output, "first", heartbeat_s=0.1),
        pytest.raises(LeaseHeldError, match="run first"),
        prepare(config(tmp_path)),
    ):
        pass


def put_lease(prepared: PreparedRun, run_id: str) -> None:
    """Let another driver take the lease."""
    heartbeat = asdict(replace(Heartbeat.of_this_process(run_id), beat=7))
    prepared.output.write(LEASE_PATH, json.dumps(heartbeat).encode())


def test_a_driver_whose_lease_was_taken_over_stops(tmp_path: Path) -> None:
    write_rows(tmp_path, names(2000))
    taken: list[int] = []

    with driver_of(config(tmp_path, output={"commit_rows": 20})) as (driver, _, prepared):

        def work(row: ManifestRow) -> Outcome:
            if row.id == "r50" and not taken:
                taken.append(len(recorded(tmp_path)))
                put_lease(prepared, "another")
            return ok(row)

        assert driver.find_work()
        with pytest.raises(RunError, match="taken over this output"):
            driver.work(InProcessPool(2, work))
    # A commit that had read the lease before may still be written; none after it is.
    assert taken[0] <= len(recorded(tmp_path)) <= taken[0] + 60


def test_a_manifest_that_vanishes_during_the_run_is_said_and_what_was_done_stays(
    tmp_path: Path,
) -> None:
    parts = [tmp_path / f"{n}.parquet" for n in range(15)]
    for n, part in enumerate(parts):
        write(part, {"id": [f"r{n}-{i}" for i in range(50)], "prompt": ["x"] * 50})
    settings = config(tmp_path, manifest={"path": [str(part) for part in parts]})

    def work(row: ManifestRow) -> Outcome:
        parts[-1].unlink(missing_ok=True)
        return ok(row)

    with pytest.raises(ManifestError, match=r"14\.parquet"):
        run(settings, work)
    states = recorded(tmp_path)
    # Too few rows for a part by number: the finished ones are written at the end.
    assert 0 < len(states) <= 14 * 50
    assert set(states.values()) == {"completed"}


def test_records_that_cannot_be_written_end_the_run_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path, names(2000))
    records, aside = tmp_path / "out" / "records", tmp_path / "aside"
    tried: list[str] = []

    def work(row: ManifestRow) -> Outcome:
        tried.append(row.id)
        if row.id == "r300" and not aside.exists():
            records.rename(aside)
            records.write_text("in the way")
        return ok(row)

    settings = config(tmp_path, output={"commit_rows": 50})
    with pytest.raises(StorageError, match="out/records"):
        run(settings, work)
    assert len(tried) < 2000
    records.unlink()
    aside.rename(records)
    committed = len(recorded(tmp_path))
    assert 50 <= committed < 2000
    stats, _ = run(settings, ok)
    assert (stats.skipped, stats.completed) == (committed, 2000 - committed)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": "wrong"}, "check the credentials"),
        ({"secret": "wrong"}, "check the credentials"),
        ({}, "the bucket does not exist"),
    ],
)
@pytest.mark.s3
def test_an_output_that_cannot_be_used_is_one_error_before_anything_is_loaded(
    tmp_path: Path, request: pytest.FixtureRequest, options: dict[str, str], said: str
) -> None:
    server = request.getfixturevalue("s3_server")
    bucket = server.new_bucket() if options else "no-such-bucket"
    write_rows(tmp_path, names(3))
    settings = config(
        tmp_path,
        output={"path": f"s3://{bucket}/out"},
        storage={"s3": {**server.options["s3"], **options}},
    )
    with pytest.raises(StorageError, match=said), prepare(settings):
        pass
