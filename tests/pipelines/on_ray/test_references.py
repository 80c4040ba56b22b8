"""References that are checked in Ray tasks."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from pipelines.config.inputs import FetchConfig
from pipelines.errors import ClusterError
from pipelines.on_ray import references
from pipelines.on_ray.references import check_on_ray
from pipelines.reference_facts import ReferenceRights
from pipelines.tools.validation.check import CheckSpec, Placed, check_here
from pipelines.tools.validation.checked import Checked
from pipelines.tools.validation.uses import Use
from tests.pipelines.manifests import CARD
from tests.pipelines.pictures import encode, picture
from uso_core.request import Parameters

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

SPEC = CheckSpec(FetchConfig(), {}, CARD.limits)


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


def uses(folder: Path, count: int, **inline: bytes) -> list[Placed]:
    """Return uses of one image, of files that are not there, and of inline images."""
    (folder / "a.png").write_bytes(encode(picture()))
    names = [str(folder / ("a.png" if n % 7 == 0 else f"{n}.png")) for n in range(count)]
    found: list[str | bytes] = [*names, *inline.values()]
    rights = ReferenceRights()
    return [
        (n, Use(reference, "style_images", str(n), Parameters(), rights))
        for n, reference in enumerate(found)
    ]


def on_ray(placed: list[Placed], **env: str) -> list[Checked]:
    tasks = check_on_ray(iter(placed), SPEC, lambda: None, env)
    return sorted(result for some in tasks for result in some)


def test_tasks_find_what_threads_find(tmp_path: Path) -> None:
    placed = uses(tmp_path, 600, good=encode(picture(20, 20)), cut=encode(picture())[:50])
    here = sorted(result for some in check_here(iter(placed), SPEC) for result in some)
    found = on_ray(placed)
    assert found == here
    assert [result.code for result in found[-2:]] == [None, "image_corrupt"]


def test_inline_images_are_spread_over_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "_INLINE_BYTES_OF_A_TASK", 10_000)
    data = {f"image{n}": encode(picture(60, 60, seed=n)) for n in range(8)}
    placed = uses(tmp_path, 0, **data)
    tasks = list(check_on_ray(iter(placed), SPEC, lambda: None, {}))
    assert len(tasks) > 2
    assert sum(map(len, tasks)) == 8


def test_nothing_to_check_joins_no_cluster() -> None:
    def join() -> None:
        raise AssertionError("it joined")

    assert list(check_on_ray(iter([]), SPEC, join, {})) == []


class _Killing(Use):
    """A use that ends the process of the task that looks at it: the first one only, or each."""

    @property
    def mark(self) -> bytes:
        often, driver, file = self.row_id.split(":")
        if os.getpid() != int(driver) and (often == "always" or not Path(file).exists()):
            Path(file).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().mark


def killing(placed: Placed, often: str, folder: Path) -> Placed:
    place, use = placed
    row_id = f"{often}:{os.getpid()}:{folder / 'killed'}"
    return place, _Killing(use.reference, use.column, row_id, use.parameters, use.given)


def test_a_task_whose_process_dies_is_repeated(tmp_path: Path) -> None:
    placed = uses(tmp_path, 10)
    placed[3] = killing(placed[3], "once", tmp_path)
    found = on_ray(placed)
    assert [result.place for result in found] == list(range(10))
    assert {result.code for result in found} == {None, "uri_not_found"}
    assert (tmp_path / "killed").exists()


def test_an_image_that_kills_its_process_is_found(tmp_path: Path) -> None:
    placed = uses(tmp_path, 5)
    placed[3] = killing(placed[3], "always", tmp_path)
    found = on_ray(placed)
    assert [result.place for result in found] == list(range(5))
    assert [result.place for result in found if result.code == "worker_lost"] == [3]
    assert "the process that read it died" in str(found[3].message)
    assert {result.code for result in found if result.place != 3} == {None, "uri_not_found"}


def test_tasks_that_all_die_end_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_MOST_DEATHS", 1)
    placed = [killing(one, "always", tmp_path) for one in uses(tmp_path, 4)]
    with pytest.raises(ClusterError, match="2 tasks that check references died in a row"):
        on_ray(placed)
