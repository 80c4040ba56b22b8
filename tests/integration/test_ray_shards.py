"""Shards written by Ray tasks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import PackError
from pipelines.on_ray.shards import write_on_ray
from pipelines.packing.pack import pack
from pipelines.packing.shard import ShardResult, ShardTask
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import digests, expected_digests, generated, request
from tests.pipelines.tools.report.outputs import commit

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def on_ray(tasks: Iterator[ShardTask]) -> Iterator[ShardResult]:
    return write_on_ray(tasks, lambda: None)


def test_tasks_write_the_shards(tmp_path: Path) -> None:
    output, dest = Storage.at(str(tmp_path / "out")), Storage.at(str(tmp_path / "packed"))
    rows = [generated(output, f"row-{n}", seed=n) for n in range(24)]
    commit(output, *rows)
    seen: list[tuple[int, int]] = []
    facts = pack(request(output, dest), on_ray, lambda done, total: seen.append((done, total)))
    assert seen == [(done, facts.shards) for done in range(facts.shards + 1)]
    assert digests(dest) == expected_digests(*rows)


def test_lost_images_that_tasks_find_are_named(tmp_path: Path) -> None:
    output, dest = Storage.at(str(tmp_path / "out")), Storage.at(str(tmp_path / "packed"))
    rows = [generated(output, f"row-{n}", seed=n) for n in range(6)]
    commit(output, *rows)
    Path(rows[3]["outputs"][0]).write_bytes(b"damaged")
    with pytest.raises(PackError, match="row 'row-3': its image"):
        pack(request(output, dest), on_ray)
    assert not dest.exists("index.json")


class Deadly(Storage):
    """A storage of images, of which a read ends the process as often as a file `deaths` says."""

    def read(self, path: str) -> bytes:
        deaths = Path(self.uri("deaths"))
        left = int(deaths.read_text())
        if path.startswith("images/") and left:
            deaths.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(path)


def test_a_shard_whose_task_dies_is_written_by_another(tmp_path: Path) -> None:
    output, dest = Deadly.at(str(tmp_path / "out")), Storage.at(str(tmp_path / "packed"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/deaths").write_text("1")
    rows = [generated(output, f"row-{n}", seed=n) for n in range(3)]
    commit(output, *rows)
    assert pack(request(output, dest), on_ray).written == 1
    assert digests(dest) == expected_digests(*rows)
    assert not list((tmp_path / "packed").rglob(".uso-*")), "half a shard of the first task"
