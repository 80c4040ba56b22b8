"""Packing at the end of a run, while no shard needs a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.packing import pack_dataset
from pipelines.driver.prepare import PreparedRun, prepare
from pipelines.driver.signals import StopRequest
from pipelines.errors import LeaseLostError
from pipelines.packing.pack import pack
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from tests.pipelines.driver.test_driver import put_lease
from tests.pipelines.manifests import write
from tests.pipelines.packing.outputs import generated, request
from tests.pipelines.tools.report.outputs import commit


@contextmanager
def job_of(folder: Path, **output: Any) -> Iterator[tuple[PreparedRun, Storage]]:
    """A job on an output with two completed rows."""
    write(folder / "m.parquet", {"id": ["a", "b"], "prompt": ["x", "y"]})
    config = RunConfig.model_validate(
        {
            "manifest": {"path": str(folder / "m.parquet")},
            "output": {"path": str(folder / "out"), **output},
            "model": {"base": "tiny"},
            "stylize": {"gpus_per_actor": 0},
        }
    )
    storage = Storage.at(str(folder / "out"))
    commit(storage, generated(storage, "a"), generated(storage, "b", seed=1))
    with prepare(config) as prepared:
        yield prepared, storage


def progress() -> ProgressReporter:
    return ProgressReporter(None, RunStats())


def never() -> None:
    raise AssertionError("no cluster is needed")


def test_loose_images_are_not_packed(tmp_path: Path) -> None:
    with job_of(tmp_path) as (prepared, storage):
        assert pack_dataset(prepared, progress(), StopRequest(), never) is None
    assert not storage.exists("webdataset")


def test_a_dataset_that_is_up_to_date_needs_no_cluster(tmp_path: Path) -> None:
    with job_of(tmp_path, layout="parquet") as (prepared, storage):
        dest = Storage.at(storage.uri("parquet"))
        pack(request(storage, dest, "parquet", shard_images=500))
        facts = pack_dataset(prepared, progress(), StopRequest(), never)
    assert facts is not None
    assert (facts.uri, facts.images, facts.written) == (dest.uri(), 2, 0)


def test_a_shard_to_write_needs_the_cluster(tmp_path: Path) -> None:
    with (
        job_of(tmp_path, layout="webdataset") as (prepared, _),
        pytest.raises(AssertionError, match="no cluster is needed"),
    ):
        pack_dataset(prepared, progress(), StopRequest(), never)


def test_a_stop_that_was_asked_for_before_comes_first(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.requested = True
    with job_of(tmp_path, layout="webdataset") as (prepared, storage):
        with pytest.raises(KeyboardInterrupt):
            pack_dataset(prepared, progress(), stop, never)
        assert not storage.exists("webdataset")


def test_a_lost_lease_ends_it(tmp_path: Path) -> None:
    with job_of(tmp_path, layout="webdataset") as (prepared, _):
        put_lease(prepared, "another")
        prepared.lease.refresh()
        with pytest.raises(LeaseLostError, match="another driver"):
            pack_dataset(prepared, progress(), StopRequest(), never)
