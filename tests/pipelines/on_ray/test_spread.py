"""Work that is spread over Ray tasks."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray

from pipelines.errors import ClusterError
from pipelines.on_ray import spread as module
from pipelines.on_ray.spread import Work, spread

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


def squares(folder: Path, items: Sequence[int]) -> list[tuple[int, object]]:
    """Return squares. A file named after a number ends the process: always, or once."""
    for item in items:
        once, always = folder / f"{item}.once", folder / f"{item}.always"
        if once.exists() or always.exists():
            once.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if item < 0:
            raise ValueError(f"{item} is negative")
    return [(item, item**2) for item in items]


def done(folder: Path, *lists: Sequence[int]) -> list[tuple[int, object]]:
    work = Work(squares, folder, lambda item, reason: (item, f"lost: {reason}"))
    return sorted(result for some in spread(work, lists, lambda: None) for result in some)


def test_each_item_has_its_result(tmp_path: Path) -> None:
    lists = [range(n * 10, n * 10 + 10) for n in range(30)]
    assert done(tmp_path, *lists) == [(n, n**2) for n in range(300)]


def test_without_items_no_cluster_is_joined(tmp_path: Path) -> None:
    def join() -> None:
        raise AssertionError("it joined")

    work = Work(squares, tmp_path, lambda item, reason: (item, reason))
    assert list(spread(work, [], join)) == []


def test_a_task_whose_process_dies_once_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "3.once").touch()
    assert done(tmp_path, range(6), range(6, 9)) == [(n, n**2) for n in range(9)]
    assert not (tmp_path / "3.once").exists()


def test_an_item_that_ends_its_process_is_found(tmp_path: Path) -> None:
    (tmp_path / "3.always").touch()
    results = dict(done(tmp_path, range(5), range(5, 8)))
    assert str(results.pop(3)).startswith("lost: ")
    assert results == {n: n**2 for n in range(8) if n != 3}


def test_tasks_that_all_die_end_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_DEATHS", 1)
    for n in range(4):
        (tmp_path / f"{n}.always").touch()
    with pytest.raises(ClusterError, match="2 tasks died in a row"):
        done(tmp_path, range(4))


def test_an_error_of_the_work_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        done(tmp_path, [-1])


def whole(folder: Path, lists: Iterable[Sequence[int]], **options: Any) -> list[tuple[int, object]]:
    """Square numbers in tasks that are repeated as a whole, on two CPUs."""
    work = Work(squares, folder, lost=None, name="a task that squares", **options)
    return sorted(result for some in spread(work, lists, lambda: None) for result in some)


def test_a_task_without_results_for_lost_items_is_repeated_as_a_whole(tmp_path: Path) -> None:
    for n in (3, 4, 7):
        (tmp_path / f"{n}.once").touch()
    assert whole(tmp_path, [range(6), range(6, 9)]) == [(n, n**2) for n in range(9)]
    assert list(tmp_path.iterdir()) == []


def test_one_that_keeps_dying_ends_the_work(tmp_path: Path) -> None:
    (tmp_path / "3.always").touch()
    with pytest.raises(ClusterError, match=r"a task that squares died 4 times \(.+\); the results"):
        whole(tmp_path, [range(6)])


@pytest.mark.parametrize(("tasks_per_cpu", "most"), [(1, 3), (2, 5)])
def test_items_are_taken_as_cpus_become_free(tmp_path: Path, tasks_per_cpu: int, most: int) -> None:
    taken, ended, ahead = 0, 0, []

    def lists() -> Iterator[Sequence[int]]:
        nonlocal taken
        for n in range(12):
            taken += 1
            ahead.append(taken - ended)
            yield [n]

    work = Work(squares, tmp_path, lost=None, tasks_per_cpu=tasks_per_cpu)
    for results in spread(work, lists(), lambda: None):
        ended += len(results)
    assert (taken, ended, max(ahead)) == (12, 12, most)
