"""Run a manifest: generate its images and write one record per row.

Safe to repeat, whatever ended the last run: recorded rows are skipped, and a row whose record was
lost is generated again under the same file names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any

from pipelines.calibration.measurements import save_calibration
from pipelines.checks.overwritten import settle_overwritten
from pipelines.config.schema import RunConfig, load_config
from pipelines.config.source import ConfigSource
from pipelines.dispatch.shared_pool import SharedPool
from pipelines.dispatch.workers import WatchedPool, WorkerTelemetry
from pipelines.driver.announcer import RunAnnouncer
from pipelines.driver.driver import Driver
from pipelines.driver.packing import pack_dataset
from pipelines.driver.prepare import PreparedRun, prepare
from pipelines.driver.recheck import recheck
from pipelines.driver.replay_sample import replay_sample
from pipelines.driver.signals import StopRequest
from pipelines.driver.summary import RunSummary, summarize
from pipelines.driver.thread_pool import ThreadPool
from pipelines.ledger.part_digests import save_part_digests
from pipelines.ledger.records import all_records
from pipelines.on_ray.actors import RayPool
from pipelines.on_ray.early_ray import EarlyRay
from pipelines.on_ray.metrics import run_metrics
from pipelines.on_ray.row_actor import RowWorker
from pipelines.on_ray.session import log_nodes, ray_session
from pipelines.packing.pack import PackFacts
from pipelines.telemetry.bar import ProgressBar
from pipelines.telemetry.logs import run_in_log
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.snapshot import Listener
from pipelines.telemetry.stats import RunStats
from pipelines.through.server_run import ThroughServer
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from uso_core.interactive import is_watched


def run(  # noqa: PLR0913 (each is optional)
    config: RunConfig | str | PathLike[str] | Mapping[str, Any],
    *,
    listener: Listener | None = None,
    show_progress: bool | None = None,
    through: str | None = None,
    on_begin: Callable[[], None] | None = None,
    source: ConfigSource | None = None,
    ray: EarlyRay | None = None,
    make_worker: Callable[[StylizerSpec], RowWorker] = Stylizer,
) -> RunSummary:
    """Generate every row of the manifest that the output does not hold yet.

    After Ctrl-C or SIGTERM the driver hands out no more rows, gives the rows on the actors
    `ray.stop_grace_s` seconds to end, and commits the finished ones; the summary is then
    `interrupted`. A second signal, or one before any row is in progress, raises
    `KeyboardInterrupt`. After SIGKILL the same call resumes from the last commit.

    Args:
        config: the configuration of the run, the path of its YAML file, or the content of such a
            file as a mapping.
        listener: receives snapshots of the run.
        show_progress: show a progress bar. None: in a terminal or a notebook, without `listener`.
        through: URL of a `uso serve` whose actors generate the images, with an API key in
            `USO_API_KEY`. None: the run has actors of its own.
        on_begin: called once, when all checks have passed and the run holds its output.
        source: the place of the configuration, for the run file; None: that of `config`, if it is a
            path.
        ray: a Ray for this run that gets ready meanwhile; the run ends it. None: the run joins or
            starts one when it has work.
        make_worker: builds the worker of an actor; tests and benchmarks replace it.

    Raises:
        ConfigError, ManifestError, StorageError, CheckpointError, LeaseHeldError, LedgerError: an
            input is wrong; no model was loaded yet.
        RunError: the run cannot continue; finished rows are committed.
    """
    if isinstance(config, str | PathLike):
        source = ConfigSource.of(config) if source is None else source
    if not isinstance(config, RunConfig):
        config = load_config(config)
    server = None if through is None else ThroughServer.connect(through, config)
    config = config if server is None else server.adapted(config)
    stats = RunStats()
    progress = ProgressReporter(listener, stats)
    if show_progress is None:
        show_progress = listener is None and is_watched()
    with ExitStack() as stack:
        if server is not None:
            stack.callback(server.link.close)
        if show_progress:
            stack.enter_context(progress.listening(stack.enter_context(ProgressBar())))
        stop = stack.enter_context(StopRequest())
        progress.show("reading the manifest and the records")
        prepared = stack.enter_context(prepare(config, source))
        stack.enter_context(run_in_log(prepared.facts.run_id))
        progress.total = prepared.manifest.total_rows
        prepared.check_names(progress)
        if on_begin is not None:
            on_begin()
        stop.let_rows_end()
        cluster = stack.enter_context(_Cluster(config, progress, stop, ray))
        workers = _Workers(cluster, make_worker, server)
        return _generate(prepared, workers, stats, progress, stop)


def _generate(
    prepared: PreparedRun,
    workers: _Workers,
    stats: RunStats,
    progress: ProgressReporter,
    stop: StopRequest,
) -> RunSummary:
    """Work through the rows of a run that holds its output, and announce its course."""
    dataset: PackFacts | None = None
    with (
        RunAnnouncer(prepared, stats, progress) as announcer,
        ExitStack() as stack,
        announcer.telling_of_faults(),
    ):
        recheck(prepared, progress, stop)
        driver = Driver(prepared, stats, progress, stop)
        stack.callback(driver.close)
        if driver.find_work():
            stats.replay = workers.work(driver, prepared, progress, stop)
        if driver.reached_end:  # otherwise time is short, and a next run does it
            dataset = _finish(driver, prepared, progress, stop, workers.cluster)
        prepared.ledger.verify()
        save_calibration(prepared.output, prepared.stopwatch.machines())
        summary = summarize(prepared, stats, interrupted=not driver.reached_end)
        undelivered = announcer.ended(summary)
    return replace(summary, dataset=dataset, undelivered_events=undelivered)


def _finish(
    driver: Driver,
    prepared: PreparedRun,
    progress: ProgressReporter,
    stop: StopRequest,
    cluster: _Cluster,
) -> PackFacts | None:
    """Bring records and dataset up to date after the last row; return facts about the dataset."""
    prepared.confirm_records()  # before lost ones are missing in the shards
    settle_overwritten(prepared.output, partial(all_records, prepared.output))
    driver.leave_out_others()
    prepared.ledger.forget_rows()
    driver.take_new_values()
    dataset = pack_dataset(prepared, progress, stop, cluster.join)
    cluster.close()
    progress.show("compacting the records")
    prepared.confirm_lease()
    prepared.ledger.compact()
    save_part_digests(prepared.output)
    return dataset


@dataclass(frozen=True, slots=True)
class _Workers:
    """The actors of a run: its own, or those of a server."""

    cluster: _Cluster
    make: Callable[[StylizerSpec], RowWorker]
    server: ThroughServer | None

    def work(
        self,
        driver: Driver,
        prepared: PreparedRun,
        progress: ProgressReporter,
        stop: StopRequest,
    ) -> Mapping[str, Any] | None:
        """Work on a pool, which ends with the work: the steps after it need no GPU.

        Returns:
            The counts of the rows that were drawn again; None: none were.
        """
        config, run_id = prepared.config, prepared.facts.run_id
        if self.server is not None:
            give_up_after_s = config.stylize.placement_timeout_s
            shared = self.server.pool(prepared.spec, prepared.card.fingerprint, give_up_after_s)
            with closing(shared):
                driver.work(shared, self.server.policy(driver.policy))
            return None
        if config.ray.is_off:
            with closing(ThreadPool(prepared.spec, config.stylize, self.make)) as threads:
                return _with_sample(threads, driver, prepared, progress, stop)
        self.cluster.join()
        telemetry = WorkerTelemetry(run_id, config.logging)
        pool = RayPool(prepared.spec, config.stylize, prepared.worker_env, self.make, telemetry)
        with run_metrics(run_id, progress), closing(pool):
            return _with_sample(pool, driver, prepared, progress, stop)


def _with_sample(
    pool: WatchedPool,
    driver: Driver,
    prepared: PreparedRun,
    progress: ProgressReporter,
    stop: StopRequest,
) -> Mapping[str, Any] | None:
    """Work, and draw a sample of the rows again if the configuration asks for it."""
    shared = SharedPool(pool)
    driver.work(shared)
    if not (driver.reached_end and prepared.config.on_end.replay_sample):
        return None
    return replay_sample(prepared, shared, driver.policy, progress, stop).as_dict()


class _Cluster(ExitStack):
    """The Ray cluster of a run, joined on first need."""

    def __init__(
        self,
        config: RunConfig,
        progress: ProgressReporter,
        stop: StopRequest,
        early: EarlyRay | None = None,
    ) -> None:
        super().__init__()
        self._early = early
        self._config = config
        self._progress = progress
        self._stop = stop
        self._joined = False

    def join(self) -> None:
        """Connect to the cluster, once; not at all in a run without Ray.

        Raises:
            ClusterError: see `ray_session`.
        """
        if self._joined or self._config.ray.is_off:
            return
        self._progress.show("starting Ray")
        if self._early is None:
            self.enter_context(ray_session(self._config.ray, self._config.stylize))
        else:
            self.callback(self._early.close)
            self._early.join()
        log_nodes()
        self._joined = True
        self._stop.install()  # Ray has taken SIGTERM for itself
