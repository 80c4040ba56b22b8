"""Spread work on many items over Ray tasks, so that every CPU of a cluster takes part."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from pipelines.errors import ClusterError
from pipelines.on_ray.head_watch import HeadWatch
from pipelines.on_ray.worker_errors import reason_of

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray
from ray.exceptions import RayError, RayTaskError

In = TypeVar("In")
Out = TypeVar("Out")

_TRIES = 4  # a node that leaves takes one of each task on it
_MOST_DEATHS = 20
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Work(Generic[In, Out]):
    """Work on items, in tasks that need one CPU.

    Attributes:
        do: returns the results of some items; called in a task with `settings`.
        settings: any value that can be pickled; sent once.
        lost: returns the result of an item whose task ended its process, for the reason given;
            None: such an item ends the work.
        tasks_per_cpu: tasks that are under way for each CPU, plus one in all: 2 keep a CPU at work
            while the results of other tasks are taken; 1 keeps fewer items in memory.
        name: names a task in messages.
    """

    do: Callable[[Any, Sequence[In]], Sequence[Out]]
    settings: Any
    lost: Callable[[In, str], Out] | None
    tasks_per_cpu: int = 2
    name: str = "a task"


def spread(
    work: Work[In, Out], lists: Iterable[Sequence[In]], join: Callable[[], None]
) -> Generator[Sequence[Out], None, None]:
    """Do work in tasks, and yield the results in the order in which the tasks end.

    An item that ends its process, or a node that is lost, costs no other item if `Work.lost` is
    given: a task that dies is halved, down to the one item that is at fault, which is tried four
    times. Without it, a task is tried four times as a whole.

    Args:
        work: the work.
        lists: the items of each task; taken as CPUs become free.
        join: connects to the cluster; called if there is an item.

    Raises:
        ClusterError: the cluster is lost, many tasks die in a row, or one dies again and again.
    """
    tasks = iter(lists)
    first = next(tasks, None)
    if first is None:
        return
    join()
    yield from _Tasks(work).run(chain([first], tasks))


class _Tasks(Generic[In, Out]):
    def __init__(self, work: Work[In, Out]) -> None:
        self._task = ray.remote(num_cpus=1)(work.do)
        self._settings = ray.put(work.settings)
        self._work = work
        self._halves: list[Sequence[In]] = []
        self._under_way: dict[ray.ObjectRef[Sequence[Out]], Sequence[In]] = {}
        self._deaths = 0  # since the last task that ended well

    def run(self, tasks: Iterator[Sequence[In]]) -> Iterator[Sequence[Out]]:
        with closing(HeadWatch(ray.get_runtime_context().gcs_address)) as head:
            while self._start(tasks):
                ready, _ = ray.wait([*self._under_way], num_returns=1, timeout=_LOOK_S)
                for done in ready:
                    yield self._results(done, self._under_way.pop(done))
                if head.lost:
                    raise ClusterError("the Ray head no longer answers; rerun the same command")

    def _start(self, tasks: Iterator[Sequence[In]]) -> bool:
        """Start tasks on the free CPUs; return False at the end of all."""
        most = 1 + self._work.tasks_per_cpu * _cpus()
        while len(self._under_way) < most:
            items = self._halves.pop() if self._halves else next(tasks, None)
            if items is None:
                break
            is_whole = self._work.lost is None
            retries = _TRIES - 1 if is_whole or len(items) == 1 else 0
            done = self._task.options(max_retries=retries).remote(self._settings, items)
            self._under_way[done] = () if is_whole else items  # Ray has them, too
        return bool(self._under_way)

    def _results(self, done: ray.ObjectRef[Sequence[Out]], items: Sequence[In]) -> Sequence[Out]:
        try:
            results: Sequence[Out] = ray.get(done)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            return self._died(items, reason_of(error))
        self._deaths = 0
        return results

    def _died(self, items: Sequence[In], reason: str) -> Sequence[Out]:
        lost = self._work.lost
        if lost is None:
            raise ClusterError(
                f"{self._work.name} died {_TRIES} times ({reason}); the results so far are safe, "
                "and the same command resumes"
            )
        self._deaths += 1
        if self._deaths > _MOST_DEATHS:
            raise ClusterError(
                f"{self._deaths} tasks died in a row ({reason}); the results so far are safe, and "
                "the same command resumes"
            )
        if len(items) == 1:
            return [lost(items[0], reason)]
        middle = len(items) // 2
        self._halves += [items[:middle], items[middle:]]
        return []


def _cpus() -> int:
    """Return the number of CPUs, at least 1; a cluster may grow and shrink."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
