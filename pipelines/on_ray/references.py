"""Check references in Ray tasks, so that every CPU of a cluster fetches and decodes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import TypeAlias

from pipelines.errors import ClusterError
from pipelines.on_ray.head_watch import HeadWatch
from pipelines.on_ray.worker_errors import reason_of
from pipelines.tools.validation.check import CheckSpec, Placed, ReferenceCheck, check_with, lost
from pipelines.tools.validation.checked import Checked

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray
from ray.exceptions import RayError, RayTaskError

_RETRIES_OF_ONE = 2
_MOST_DEATHS = 20
_LOOK_S = 1.0
_USES_OF_A_TASK = 256
_INLINE_BYTES_OF_A_TASK = 16 * 2**20
_TASKS_PER_CPU = 2  # one at work, and one that waits for the CPU

_Settings: TypeAlias = tuple[CheckSpec, Mapping[str, str]]

_checks: dict[str, ReferenceCheck] = {}
"""The check of a process, by its number: its connections outlive a task."""


def check_on_ray(
    uses: Iterator[Placed], spec: CheckSpec, join: Callable[[], None], env: Mapping[str, str]
) -> Generator[Sequence[Checked], None, None]:
    """Check references in tasks of a cluster, one per CPU; tasks that die are repeated.

    A task takes 256 references at a time, and `fetch.concurrency` threads for them.

    Args:
        uses: the uses to check; taken as CPUs become free.
        spec: the settings.
        join: connects to the cluster; called if there is a use.
        env: environment variables of the tasks, secrets resolved; Ray does not log them.

    Yields:
        The results, a task at a time, in the order in which the tasks end.

    Raises:
        ClusterError: the cluster is lost, or tasks keep dying.
    """
    tasks = _tasks(uses)
    first = next(tasks, None)
    if first is None:
        return
    join()
    yield from _Tasks(ray.put((spec, dict(env)))).run(chain([first], tasks))


class _Tasks:
    """The tasks of one check.

    An image that kills its process, or a node that is lost, costs no other reference: a task that
    dies is halved, down to the one reference that is at fault, which is tried three times.
    """

    def __init__(self, settings: ray.ObjectRef[_Settings]) -> None:
        self._work = ray.remote(num_cpus=1)(_check_some)
        self._settings = settings
        self._number = uuid.uuid4().hex
        self._halves: list[list[Placed]] = []
        self._under_way: dict[ray.ObjectRef[list[Checked]], list[Placed]] = {}
        self._deaths = 0  # since the last task that ended well

    def run(self, tasks: Iterator[list[Placed]]) -> Iterator[Sequence[Checked]]:
        with closing(HeadWatch(ray.get_runtime_context().gcs_address)) as head:
            while self._start(tasks):
                ready, _ = ray.wait([*self._under_way], num_returns=1, timeout=_LOOK_S)
                for done in ready:
                    yield self._result(done, self._under_way.pop(done))
                if head.lost:
                    raise ClusterError("the Ray head no longer answers; rerun the same command")

    def _start(self, tasks: Iterator[list[Placed]]) -> bool:
        """Start tasks on the free CPUs; return False at the end of all."""
        most = _most_tasks()
        while len(self._under_way) < most:
            task = self._halves.pop() if self._halves else next(tasks, None)
            if task is None:
                break
            work = self._work.options(max_retries=_RETRIES_OF_ONE if len(task) == 1 else 0)
            started = work.remote(self._number, self._settings, task)
            self._under_way[started] = task
        return bool(self._under_way)

    def _result(self, done: ray.ObjectRef[list[Checked]], task: list[Placed]) -> Sequence[Checked]:
        try:
            results: list[Checked] = ray.get(done)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            return self._died(task, reason_of(error))
        self._deaths = 0
        return results

    def _died(self, task: list[Placed], reason: str) -> Sequence[Checked]:
        self._deaths += 1
        if self._deaths > _MOST_DEATHS:
            raise ClusterError(
                f"{self._deaths} tasks that check references died in a row ({reason}); the "
                "references checked so far are safe, and the same command resumes"
            )
        if len(task) == 1:
            return [lost(task[0], f"the process that read it died ({reason}); check the file")]
        middle = len(task) // 2
        self._halves += [task[:middle], task[middle:]]
        return []


def _tasks(uses: Iterator[Placed]) -> Iterator[list[Placed]]:
    """Yield the uses in lists of bounded length and bounded inline images."""
    some: list[Placed] = []
    inline = 0
    for placed in uses:
        some.append(placed)
        reference = placed[1].reference
        inline += len(reference) if len(reference) > 4096 else 0
        if len(some) == _USES_OF_A_TASK or inline > _INLINE_BYTES_OF_A_TASK:
            yield some
            some, inline = [], 0
    if some:
        yield some


def _most_tasks() -> int:
    """Return the number of tasks to keep under way; a cluster may grow and shrink."""
    cpus = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    return max(2, int(_TASKS_PER_CPU * cpus))


def _check_some(number: str, settings: _Settings, uses: Sequence[Placed]) -> list[Checked]:
    """Check references in a task."""
    spec, env = settings
    if number not in _checks:
        os.environ.update(env)
        _checks[number] = ReferenceCheck(spec)
    threads = min(len(uses), spec.config.concurrency)
    return list(check_with(_checks[number], iter(uses), threads))
