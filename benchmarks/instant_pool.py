"""The driver's whole loop with in-process workers that answer at once: no Ray, no work."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pipeline import NoWork
from pipelines.config.schema import RunConfig
from pipelines.dispatch.workers import Event, Finished, Ready
from pipelines.driver.driver import Driver
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.rows import ManifestRow
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from pipelines.worker.activity import Activity
from pipelines.worker.spec import StylizerSpec
from tests.integration.harness import run_config


class InstantPool:
    """Workers in this process that answer at once; a `WatchedPool`."""

    head_lost = False

    def __init__(self, spec: StylizerSpec, workers: int = 2) -> None:
        self.placed = workers
        self._worker = NoWork(spec)
        self._events: deque[Event] = deque(Ready(f"w{n}", "none") for n in range(workers))

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Accept rows and complete them."""
        self._events.extend(Finished(worker, self._worker.stylize(row)) for row in rows)

    def wait(self, _timeout_s: float) -> list[Event]:
        """Return all events so far."""
        events = list(self._events)
        self._events.clear()
        return events

    def withdraw(self) -> None:
        """Do nothing: its rows end at once."""

    def cancel(self, worker: str, row_id: str) -> None:
        """Do nothing: its rows end at once."""

    def kill(self, worker: str) -> None:
        """Never called."""

    def poll_activity(self) -> list[Activity]:
        """Return nothing: no work is ever in progress."""
        return []


def instant_config(manifest: Path, output: Path) -> RunConfig:
    """Return the configuration of a run whose workers hold up to 32 rows each."""
    stylize = {"max_rows_in_flight": 32}
    return RunConfig.model_validate(run_config(str(manifest), str(output), stylize=stylize))


def drive(prepared: PreparedRun, pool: InstantPool) -> RunStats:
    """Take all rows of a run through the driver."""
    stats = RunStats()
    driver = Driver(prepared, stats, ProgressReporter(None, stats), StopRequest())
    driver.find_work()
    driver.work(pool)
    driver.close()
    return stats
