"""One run: a manifest goes in, images and one record per row come out.

Safe to repeat, whatever ended the last run: recorded rows are skipped, and a row whose record was
lost is drawn again, onto the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace

from pipelines.calibration.measurements import save_calibration
from pipelines.config.schema import RunConfig
from pipelines.dispatch.workers import WorkerTelemetry
from pipelines.driver.announcer import RunAnnouncer
from pipelines.driver.driver import Driver
from pipelines.driver.packing import pack_dataset
from pipelines.driver.prepare import prepare
from pipelines.driver.signals import StopRequest
from pipelines.driver.summary import RunSummary, summarize
from pipelines.on_ray.actors import RayPool, RowWorker
from pipelines.on_ray.metrics import run_metrics
from pipelines.on_ray.session import ray_session
from pipelines.packing.pack import PackFacts
from pipelines.telemetry.logs import run_in_log
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.snapshot import Listener
from pipelines.telemetry.stats import RunStats
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer


def run(
    config: RunConfig,
    *,
    listener: Listener | None = None,
    make_worker: Callable[[StylizerSpec], RowWorker] = Stylizer,
) -> RunSummary:
    """Do everything in the manifest that the output does not hold yet.

    On Ctrl-C or SIGTERM no more rows are given out, those on the actors get `ray.stop_grace_s` to
    end, and what has ended is committed; the summary then says `interrupted`. A second signal, and
    one while nothing is under way yet, raises `KeyboardInterrupt`. After SIGKILL the same call goes
    on from the last commit.

    Args:
        config: the run.
        listener: sees the run go on.
        make_worker: builds what an actor holds; only tests and benchmarks give another one.

    Raises:
        ManifestError, StorageError, CheckpointError, LeaseHeldError, LedgerError: something is
            wrong with what was given; no model was loaded yet.
        RunError: the run cannot go on; what had ended is committed.
    """
    stats = RunStats()
    board = ProgressReporter(listener, stats)
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        board.show("reading the manifest and the records")
        job = stack.enter_context(prepare(config))
        stack.enter_context(run_in_log(job.facts.run_id))
        board.total = job.manifest.total_rows
        stop.let_rows_end()
        announcer = stack.enter_context(RunAnnouncer(job, stats, board))
        cluster = stack.enter_context(_Cluster(config, board, stop))
        dataset: PackFacts | None = None
        with announcer.telling_of_faults():
            driver = Driver(job, stats, board, stop)
            stack.callback(driver.close)
            if driver.find_work():
                cluster.join()
                watching = WorkerTelemetry(job.facts.run_id, config.logging)
                pool = RayPool(job.spec, config.stylize, job.worker_env, make_worker, watching)
                # The pool is closed first: what follows needs no GPU.
                with run_metrics(job.facts.run_id, board), closing(pool):
                    driver.work(pool)
            if driver.reached_end:  # else there is a next run, and little time
                job.ledger.forget_rows()
                dataset = pack_dataset(job, board, stop, cluster.join)
                cluster.close()
                board.show("compacting the records")
                job.ledger.compact()
            save_calibration(job.output, job.stopwatch.machines())
            summary = summarize(job, stats, interrupted=not driver.reached_end)
            undelivered = announcer.ended(summary)
        return replace(summary, dataset=dataset, undelivered_events=undelivered)


class _Cluster(ExitStack):
    """The Ray cluster of a run, joined when something needs it."""

    def __init__(self, config: RunConfig, board: ProgressReporter, stop: StopRequest) -> None:
        super().__init__()
        self._config = config
        self._board = board
        self._stop = stop
        self._joined = False

    def join(self) -> None:
        """Connect to it, if that was not done before.

        Raises:
            ClusterError: see `ray_session`.
        """
        if self._joined:
            return
        self._board.show("starting Ray")
        self.enter_context(ray_session(self._config.ray, self._config.stylize))
        self._joined = True
        self._stop.install()  # Ray has taken SIGTERM for itself
