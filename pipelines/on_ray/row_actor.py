"""The process of an actor: loads its worker on request, then works on rows in threads.

Such a process loads this module first, so it imports little.
"""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pipelines.on_ray.row_threads import Ended, RowThreads
from pipelines.rows import ManifestRow, Outcome
from pipelines.telemetry.logs import log_of_worker, row_in_log
from pipelines.worker.activity import Activity, WorkerInfo

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

from pipelines.on_ray.metrics import WorkerMetrics

if TYPE_CHECKING:
    from pipelines.dispatch.workers import WorkerTelemetry
    from pipelines.worker.spec import StylizerSpec


class RowWorker(Protocol):
    """The worker in an actor; `pipelines.worker.stylizer.Stylizer` is the real one."""

    def info(self) -> WorkerInfo:
        """Return the place and device of this worker."""

    def stylize(self, row: ManifestRow) -> Outcome:
        """Work on one row; called from several threads at once."""

    def activity(self) -> Activity:
        """Return the number of rows in each stage."""

    def cancel(self, row_id: str) -> None:
        """End the work on a row soon, whether it has come or still comes; returns at once."""


class RowActor:
    """The class of the actors.

    The constructor does almost nothing, so that an actor that has a node and loads can be
    distinguished from one that waits for a node.
    """

    def __init__(self, secrets: Mapping[str, str], telemetry: WorkerTelemetry) -> None:
        os.environ.update(secrets)
        log_of_worker(telemetry.logging, telemetry.run_id)
        self._run_id = telemetry.run_id
        self._threads = RowThreads(self._stylized)

    def place(self) -> None:
        """Answer as soon as there is a process."""

    def load(self, make: Callable[[StylizerSpec], RowWorker], spec: StylizerSpec) -> WorkerInfo:
        """Make the worker, and return its place."""
        gc.disable()  # a model's modules make many objects and drop few
        try:
            self._worker = make(replace(spec, alone=True))
        finally:
            gc.freeze()  # no later collection looks at them
            gc.enable()
        self._metrics = WorkerMetrics(self._run_id)
        return self._worker.info()

    def work(self, rows: bytes) -> list[Ended]:
        """Begin rows, and return the ended ones; see `RowThreads.exchange`.

        Args:
            rows: a pickled list of `ManifestRow`; it may be empty.
        """
        return self._threads.exchange(pickle.loads(rows))  # noqa: S301 (our driver made it)

    def activity(self) -> Activity:
        """See `RowWorker`."""
        return self._worker.activity()

    def cancel(self, row_id: str) -> None:
        """See `RowWorker`."""
        self._worker.cancel(row_id)

    def _stylized(self, row: ManifestRow) -> Outcome:
        with row_in_log(row.id):
            outcome = self._worker.stylize(row)
        self._metrics.observe(outcome, self._worker.activity())
        return outcome
