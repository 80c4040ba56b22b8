"""Pack the output at the end of a run: bring its dataset of shards up to date."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.on_ray.shards import write_on_ray
from pipelines.packing.pack import PackFacts, PackRequest, pack
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.worker.spec import absolute_path


def pack_dataset(
    prepared: PreparedRun, progress: ProgressReporter, stop: StopRequest, join: Callable[[], None]
) -> PackFacts | None:
    """Pack the output into the layout of `output.layout`. The next run resumes a packing cut short.

    Args:
        prepared: the run, with all its rows recorded.
        progress: shows the number of shards written.
        stop: raises on a signal during packing.
        join: connects to the Ray cluster; called only if there is a shard to write.

    Returns:
        Facts about the dataset; None: `output.layout` asks for no dataset.

    Raises:
        PackError, LedgerError, StorageError: see `pack`.
        ClusterError, LeaseLostError: the run cannot continue.
        KeyboardInterrupt: a signal arrived.
    """
    config, spec = prepared.config.output, prepared.spec
    if config.layout == "images":
        return None
    folder = absolute_path(config.path, may_be_new=True).rstrip("/")
    patience_s = config.give_up_after_s
    request = PackRequest(
        output=Storage.at(folder, spec.storage, patience_s=patience_s),
        dest=Storage.at(f"{folder}/{config.layout}", spec.storage, patience_s=patience_s),
        layout=config.layout,
        shard_images=config.shard_images,
        skip_missing=config.skip_missing,
    )

    def show(done: int, total: int) -> None:
        prepared.check_lease()
        progress.show(f"packing: {done:,} of {total:,} shards")

    stop.interrupt_at_once()
    try:
        if prepared.config.ray.is_off:
            return pack(request, progress=show)
        return pack(request, lambda tasks: write_on_ray(tasks, join), show)
    finally:
        stop.let_rows_end()
