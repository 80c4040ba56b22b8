"""Write shards in Ray tasks, so that no pixels pass through the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pipelines.on_ray.spread import Work, spread
from pipelines.packing.shard import ShardResult, ShardTask, write_shard


def write_on_ray(tasks: Iterator[ShardTask], join: Callable[[], None]) -> Iterator[ShardResult]:
    """Run `write_shard` for each task, one per free CPU of the cluster; retry lost tasks.

    Args:
        tasks: taken one by one as CPUs become free, because their records stay in memory here.
        join: connects to the cluster; called if there is a task.

    Raises:
        PackError, StorageError: see `write_shard`.
        ClusterError: the cluster is lost, or a task keeps dying.
    """
    work = Work(write_shards, None, lost=None, tasks_per_cpu=1, name="a task that packs")
    for results in spread(work, ([task] for task in tasks), join):
        yield from results


def write_shards(_settings: None, tasks: Sequence[ShardTask]) -> list[ShardResult]:
    """Run `write_shard` for each task; its name is in Ray's log."""
    return list(map(write_shard, tasks))
