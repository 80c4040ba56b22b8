"""Write shards in Ray tasks, so that no pixels pass through the driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing

from pipelines.errors import ClusterError
from pipelines.on_ray.head_watch import HeadWatch
from pipelines.packing.shard import ShardResult, ShardTask, write_shard

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray
from ray.exceptions import RayError, RayTaskError

_TRIES = 3
_LOOK_S = 1.0


def write_on_ray(tasks: Iterator[ShardTask], join: Callable[[], None]) -> Iterator[ShardResult]:
    """Run `write_shard` for each task, one per free CPU of the cluster; retry lost tasks.

    Args:
        tasks: taken one by one as CPUs become free, because their records stay in memory here.
        join: connects to the cluster; called if there is a task.

    Raises:
        PackError, StorageError: see `write_shard`.
        ClusterError: the cluster is lost, or tasks keep dying.
    """
    task = next(tasks, None)
    if task is None:
        return
    join()
    write = ray.remote(num_cpus=1, max_retries=_TRIES)(write_shard)
    most = 1 + int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    with closing(HeadWatch(ray.get_runtime_context().gcs_address)) as head:
        under_way: list[ray.ObjectRef[ShardResult]] = []
        while task is not None or under_way:
            while task is not None and len(under_way) < most:
                under_way.append(write.remote(task))
                task = next(tasks, None)
            ready, under_way = ray.wait(under_way, num_returns=1, timeout=_LOOK_S)
            yield from map(_result, ready)
            if head.lost:
                raise ClusterError("the Ray head no longer answers; rerun the same command")


def _result(written: ray.ObjectRef[ShardResult]) -> ShardResult:
    try:
        result: ShardResult = ray.get(written)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise ClusterError(
            f"a task that packs died {_TRIES + 1} times ({type(error).__name__}); the images and "
            "records are safe, and the same command resumes"
        ) from error
    return result
