"""A run that checks its output generates rows again whose images are lost, and no others."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.driver import Driver
from pipelines.driver.prepare import prepare
from pipelines.driver.recheck import recheck
from pipelines.driver.signals import StopRequest
from pipelines.driver.summary import RunSummary, summarize
from pipelines.errors import LeaseLostError, RowsChangedError
from pipelines.image_names import image_path
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from tests.pipelines.driver.test_driver import config, names, put_lease, recorded, write_rows
from tests.pipelines.inprocess_pool import InProcessPool

ROWS = names(6)


def run(settings: RunConfig) -> tuple[RunSummary, set[str]]:
    """Run with workers that store one small file per row; return the rows that they had."""
    output = Storage.at(settings.output.path)

    def store(row: ManifestRow) -> Outcome:
        data = f"{row.id} {row.parameters.num_steps}".encode()
        uri = output.write(image_path(row.id, 0, 1, "png"), data)
        digest = hashlib.sha256(data).hexdigest()
        return Outcome(row_id=row.id, outputs=(uri,), sha256=(digest,), image_bytes=(len(data),))

    stats = RunStats()
    progress = ProgressReporter(None, stats)
    pool = InProcessPool(2, store)
    with prepare(settings) as prepared, StopRequest() as stop:
        recheck(prepared, progress, stop)
        driver = Driver(prepared, stats, progress, stop)
        try:
            if driver.find_work():
                driver.work(pool)
        finally:
            driver.close()
        return summarize(prepared, stats, interrupted=False), set(pool.tries)


def image(folder: Path, row_id: str) -> Path:
    return folder / "out" / image_path(row_id, 0, 1, "png")


def harm(folder: Path) -> None:
    image(folder, "r0").unlink()
    image(folder, "r2").write_bytes(b"")
    image(folder, "r4").write_bytes(b"r4 0")  # of the same size
    (folder / "out/images/aa").mkdir(exist_ok=True)
    (folder / "out/images/aa/not-ours.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("check", "again"),
    [("none", set()), ("sizes", {"r0", "r2"}), ("full", {"r0", "r2", "r4"})],
)
def test_rows_whose_images_are_lost_run_again(
    tmp_path: Path, check: str, again: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path, ROWS, num_steps=[1] * 6)
    assert run(config(tmp_path))[1] == set(ROWS)
    harm(tmp_path)
    checking = config(tmp_path, output={"check_images": check})
    summary, ran = run(checking)
    assert ran == again
    assert (summary.lost_images, summary.completed) == (len(again), len(again))
    assert (summary.changed, summary.skipped) == (0, 6 - len(again))
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert {each.split()[1].removeprefix("row_id=") for each in said[:-1]} == again
    assert set(recorded(tmp_path).values()) == {"completed"}
    assert run(checking)[1] == set()


@pytest.mark.parametrize("on_change", ["redo", "keep", "error"])
def test_an_image_that_is_lost_cannot_be_kept(tmp_path: Path, on_change: str) -> None:
    write_rows(tmp_path, ROWS, num_steps=[1] * 6)
    run(config(tmp_path))
    image(tmp_path, "r0").unlink()
    checking = config(tmp_path, output={"check_images": "sizes", "on_change": on_change})
    write_rows(tmp_path, ROWS, num_steps=[2, 1, 1, 1, 1, 1])
    if on_change == "error":
        with pytest.raises(RowsChangedError, match="'r0' is completed"):
            run(checking)
        write_rows(tmp_path, ROWS, num_steps=[1] * 6)
    assert run(checking)[1] == {"r0"}
    assert image(tmp_path, "r0").exists()


def test_a_lost_image_of_a_row_that_is_no_longer_listed_is_not_drawn(tmp_path: Path) -> None:
    write_rows(tmp_path, ROWS)
    run(config(tmp_path))
    image(tmp_path, "r0").unlink()
    write_rows(tmp_path, ROWS[1:])
    summary, ran = run(config(tmp_path, output={"check_images": "full"}))
    assert (summary.lost_images, ran) == (0, set())


def test_a_lost_lease_or_a_signal_ends_the_check(tmp_path: Path) -> None:
    write_rows(tmp_path, ROWS)
    run(config(tmp_path))
    progress, stop = ProgressReporter(None, RunStats()), StopRequest()
    with prepare(config(tmp_path, output={"check_images": "sizes"})) as prepared:
        put_lease(prepared, "another")
        prepared.lease.refresh()
        with pytest.raises(LeaseLostError, match="another driver"):
            recheck(prepared, progress, stop)
        stop.requested = True
        with pytest.raises(KeyboardInterrupt):
            recheck(prepared, progress, stop)
