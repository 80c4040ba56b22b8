"""A worker in threads of the driver's own process, for runs without Ray: `ray.address: none`.

It starts as fast as its model loads. But a crash of the model ends the run, and a row that hangs
cannot be killed. Both leave a run that the same command resumes.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipelines.dispatch.workers import Event, Finished, Raised, Ready, StartFailed
from pipelines.errors import WorkersFailedError
from pipelines.rows import ManifestRow
from pipelines.telemetry.logs import row_in_log
from pipelines.worker.activity import Activity

if TYPE_CHECKING:
    from pipelines.config.cluster import StylizeConfig
    from pipelines.on_ray.row_actor import RowWorker
    from pipelines.worker.spec import StylizerSpec

_NAME = "this-process"


class ThreadPool:
    """One worker, and a thread for each row that it may hold; a `WatchedPool`.

    The threads are daemons: after a second Ctrl-C, nothing waits for a row in progress.
    """

    head_lost = False

    def __init__(
        self,
        spec: StylizerSpec,
        config: StylizeConfig,
        make: Callable[[StylizerSpec], RowWorker],
    ) -> None:
        """Start to load the worker; it is `Ready` once its model is loaded."""
        self._spec = spec
        self._make = make
        self._timeout_s = config.row_timeout_s
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._rows: queue.SimpleQueue[ManifestRow | None] = queue.SimpleQueue()
        self._worker: RowWorker | None = None
        self._threads = config.most_rows_in_flight
        self._start_thread(self._load)

    @property
    def placed(self) -> int:
        """Always one: the process is there."""
        return 1

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Give the worker rows."""
        assert worker == _NAME
        for row in rows:
            self._rows.put(row)

    def wait(self, timeout_s: float) -> list[Event]:
        """Return events in order; after a failed start, try again."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=timeout_s))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        if any(isinstance(event, StartFailed) for event in events):
            self._start_thread(self._load)
        return events

    def withdraw(self) -> None:
        """Do nothing: the worker begins its rows at once."""

    def cancel(self, worker: str, row_id: str) -> None:
        """Let the worker end a row at its next step."""
        assert worker == _NAME
        if self._worker is not None:
            self._worker.cancel(row_id)

    def kill(self, worker: str) -> None:
        """End the run, because a thread cannot be killed.

        Raises:
            WorkersFailedError: always.
        """
        raise WorkersFailedError(
            f"a row takes longer than stylize.row_timeout_s ({self._timeout_s:g} s), and {worker} "
            "cannot be killed; finished rows are recorded. Raise the limit, or run the rows in "
            "processes of their own (ray.address: local)"
        )

    def poll_activity(self) -> list[Activity]:
        """Return the activity of the worker."""
        return [] if self._worker is None else [self._worker.activity()]

    def close(self) -> None:
        """End the threads; rows in progress are dropped."""
        for _ in range(self._threads):
            self._rows.put(None)
        close = getattr(self._worker, "close", None)  # workers of tests need none
        if close is not None:
            close()
        self._worker = None

    def _load(self) -> None:
        try:
            worker = self._make(self._spec)
            device = worker.info().device
        except Exception as error:  # noqa: BLE001 (the dispatcher counts it, and ends the run)
            self._events.put(StartFailed(_NAME, f"{type(error).__name__}: {error}"))
            return
        self._worker = worker
        for _ in range(self._threads):
            self._start_thread(lambda: self._work(worker))
        self._events.put(Ready(_NAME, device))

    def _work(self, worker: RowWorker) -> None:
        while (row := self._rows.get()) is not None:
            try:
                with row_in_log(row.id):
                    event: Event = Finished(_NAME, worker.stylize(row))
            except Exception:  # noqa: BLE001 (a bug, which the row's record tells)
                event = Raised(_NAME, row.id, traceback.format_exc())
            self._events.put(event)

    @staticmethod
    def _start_thread(target: Callable[[], None]) -> None:
        threading.Thread(target=target, name=_NAME, daemon=True).start()
