"""The end of a run whose output is to be packed: the dataset is brought up to date."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.on_ray.shards import write_on_ray
from pipelines.packing.pack import PackFacts, PackRequest, pack
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter


def pack_dataset(
    job: PreparedRun, board: ProgressReporter, stop: StopRequest, join: Callable[[], None]
) -> PackFacts | None:
    """Pack what `output.layout` asks for; what is cut off is gone on with by the next run.

    Args:
        job: all its rows are recorded.
        board: is told how many shards are written.
        stop: a signal interrupts at once meanwhile.
        join: connects to the Ray cluster; called only where there is a shard to write.

    Returns:
        What the dataset is now; None: `output.layout` asks for none.

    Raises:
        PackError, LedgerError, StorageError: see `pack`.
        ClusterError, LeaseLostError: the run cannot go on.
        KeyboardInterrupt: the run is asked to stop.
    """
    config, spec = job.config.output, job.spec
    if config.layout == "images":
        return None
    folder, patience_s = spec.output.path.rstrip("/"), config.give_up_after_s
    request = PackRequest(
        output=Storage.at(folder, spec.storage, patience_s=patience_s),
        dest=Storage.at(f"{folder}/{config.layout}", spec.storage, patience_s=patience_s),
        layout=config.layout,
        shard_images=config.shard_images,
    )

    def progress(done: int, total: int) -> None:
        job.check_lease()
        board.show(f"packing: {done:,} of {total:,} shards")

    stop.interrupt_at_once()
    try:
        return pack(request, lambda tasks: write_on_ray(tasks, join), progress)
    finally:
        stop.let_rows_end()
