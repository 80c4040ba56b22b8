"""A run generates rows again whose references were replaced under their names."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.driver import Driver
from pipelines.driver.prepare import prepare
from pipelines.driver.recheck import recheck
from pipelines.driver.signals import StopRequest
from pipelines.errors import RowsChangedError
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.record import REFERENCE_VERSIONS
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from pipelines.worker.seen_references import Seen
from tests.pipelines.driver.test_driver import config, recorded
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.manifests import write
from tests.pipelines.pictures import encode, picture
from tests.pipelines.records import drop_column

IMAGES = [encode(picture(8, 8, seed=seed), "PNG") for seed in range(3)]


def write_rows(folder: Path, **files: bytes | None) -> None:
    """Write one row for each file, all with the same style, and the files."""
    for name, data in {"style": IMAGES[2], **files}.items():
        if data is not None:
            (folder / f"{name}.png").write_bytes(data)
    count = len(files)
    columns = {
        "id": [*files],
        "prompt": ["x"] * count,
        "content_image": [f"{name}.png" for name in files],
        "style_images": [["style.png"]] * count,
    }
    write(folder / "m.parquet", columns)


def run(folder: Path, **sections: Any) -> tuple[RunStats, set[str]]:
    """Run with workers that only fetch; return the counters and the rows that they had."""
    settings: RunConfig = config(folder, **sections)
    stats = RunStats()
    progress = ProgressReporter(None, stats)
    with closing(Fetcher(settings.fetch)) as fetcher:

        def work(row: ManifestRow) -> Outcome:
            seen = Seen(row)
            assert isinstance(row.content_image, str)
            try:
                for place, uri in enumerate([row.content_image, *row.style_images]):
                    fetcher.fetch(uri, seen.note(place))
            except RowFailedError as error:
                return Outcome(row_id=row.id, failure=error.failure, references=seen.versions)
            return Outcome(row_id=row.id, references=seen.versions)

        pool = InProcessPool(2, work)
        with prepare(settings) as prepared, StopRequest() as stop:
            recheck(prepared, progress, stop)
            driver = Driver(prepared, stats, progress, stop)
            try:
                if driver.find_work():
                    driver.work(pool)
            finally:
                driver.close()
    return stats, set(pool.tries)


def test_rows_of_a_replaced_reference_run_again_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_rows(tmp_path, a=IMAGES[0], b=IMAGES[0], c=b"damaged", d=None)
    assert run(tmp_path)[1] == {"a", "b", "c", "d"}
    assert run(tmp_path)[1] == set()
    assert recorded(tmp_path) == {"a": "completed", "b": "completed", "c": "failed", "d": "failed"}
    write_rows(tmp_path, a=IMAGES[1], b=None, c=IMAGES[0], d=IMAGES[0])
    os.utime(tmp_path / "b.png", (1, 1))
    with caplog.at_level(logging.WARNING):
        stats, again = run(tmp_path)
    assert again == {"a", "c", "d"}
    assert (stats.changed, stats.completed) == (1, 3)
    assert f"reference_changed uri={tmp_path}/a.png" in caplog.text
    assert set(recorded(tmp_path).values()) == {"completed"}
    assert run(tmp_path)[1] == set()


def test_a_style_of_many_rows_is_looked_at_once_and_changes_them_all(tmp_path: Path) -> None:
    files = {f"r{n}": IMAGES[n % 2] for n in range(12)}
    write_rows(tmp_path, **files)
    run(tmp_path)
    (tmp_path / "style.png").write_bytes(IMAGES[0])
    assert run(tmp_path)[1] == set(files)


@pytest.mark.parametrize(
    ("sections", "again"),
    [
        ({"fetch": {"fingerprint": "uri"}}, set()),
        ({"fetch": {"fingerprint": {"local": "uri"}}}, set()),
        ({"fetch": {"fingerprint": "content"}}, {"a"}),
        ({"output": {"on_change": "keep"}}, set()),
    ],
)
def test_the_configuration_decides(
    tmp_path: Path, sections: dict[str, Any], again: set[str]
) -> None:
    write_rows(tmp_path, a=IMAGES[0], b=IMAGES[0])
    run(tmp_path, fetch={"fingerprint": "stat"})
    write_rows(tmp_path, a=IMAGES[1], b=None)
    stats, ran = run(tmp_path, **sections)
    assert ran == again
    assert stats.changed == (0 if "uri" in str(sections) else 1)


def test_a_replaced_reference_can_be_an_error(tmp_path: Path) -> None:
    write_rows(tmp_path, a=IMAGES[0])
    run(tmp_path)
    write_rows(tmp_path, a=IMAGES[1])
    with pytest.raises(RowsChangedError, match="'a' is completed"):
        run(tmp_path, output={"on_change": "error"})


def test_an_output_of_an_older_version_resumes_with_nothing_redone(tmp_path: Path) -> None:
    write_rows(tmp_path, a=IMAGES[0], b=IMAGES[0])
    run(tmp_path)
    drop_column(Storage.at(str(tmp_path / "out")), REFERENCE_VERSIONS)
    (tmp_path / "a.png").write_bytes(IMAGES[1])
    assert run(tmp_path)[1] == set()
    (tmp_path / "a.png").write_bytes(IMAGES[0])
    assert run(tmp_path)[1] == {"a"}
    assert run(tmp_path)[1] == set()
