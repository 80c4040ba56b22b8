from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.reference_facts import ReferenceRights
from pipelines.tools.validation import tasks
from pipelines.tools.validation.check import CheckSpec, Placed, check_here
from pipelines.tools.validation.tasks import TaskSettings, check_some, in_tasks, lost_in_task
from pipelines.tools.validation.uses import Use
from tests.fresh_interpreter import printed_by
from tests.pipelines.manifests import CARD
from tests.pipelines.pictures import encode, picture
from uso_core.request import Parameters

SPEC = CheckSpec(FetchConfig(), {}, CARD.limits)


def uses(folder: Path, count: int, *inline: bytes) -> list[Placed]:
    """Return uses of one image, of files that are not there, and of inline images."""
    (folder / "a.png").write_bytes(encode(picture()))
    names = [str(folder / ("a.png" if n % 7 == 0 else f"{n}.png")) for n in range(count)]
    found: list[str | bytes] = [*names, *inline]
    rights = ReferenceRights()
    return [
        (n, Use(reference, "style_images", str(n), Parameters(), rights))
        for n, reference in enumerate(found)
    ]


def test_tasks_find_what_threads_find(tmp_path: Path) -> None:
    placed = uses(tmp_path, 600, encode(picture(20, 20)), encode(picture())[:50])
    settings = TaskSettings(SPEC, {})
    found = [result for task in in_tasks(iter(placed)) for result in check_some(settings, task)]
    assert found == [result for some in check_here(iter(placed), SPEC) for result in some]
    assert [result.code for result in found[-2:]] == [None, "image_corrupt"]


def test_the_uses_of_a_task_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*map(len, in_tasks(iter(uses(tmp_path, 600))))] == [256, 256, 88]
    monkeypatch.setattr(tasks, "_INLINE_BYTES_OF_A_TASK", 20_000)
    images = [encode(picture(60, 60, seed=n)) for n in range(8)]
    assert min(map(len, images)) > 4096
    sizes = [*map(len, in_tasks(iter(uses(tmp_path, 0, *images))))]
    assert (sum(sizes), max(sizes) < 5) == (8, True)


def test_tasks_have_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USO_TEST_OF_TASKS", raising=False)
    monkeypatch.setenv("USO_TEST_OF_TASKS", "old")
    settings = TaskSettings(SPEC, {"USO_TEST_OF_TASKS": "new"})
    check_some(settings, uses(tmp_path, 1))
    assert os.environ["USO_TEST_OF_TASKS"] == "new"
    assert "new" not in repr(settings)


def test_a_lost_reference_is_named(tmp_path: Path) -> None:
    (placed,) = uses(tmp_path, 1)
    result = lost_in_task(placed, "exit code -9")
    assert result.code == "worker_lost"
    assert f"{tmp_path}/a.png: the process that read it died (exit code -9)" in str(result.message)


def test_a_task_loads_no_manifest() -> None:
    """Each process of a cluster starts with this import."""
    module = "pipelines.tools.validation.tasks"
    loaded = printed_by(f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert not [name for name in loaded if name.startswith("pipelines.manifest")]
