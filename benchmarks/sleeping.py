"""Workers whose work is a sleep of known length: how well a pipeline uses actors, without a model.

A row's `num_steps` sets its work, `STEP_S` per step. Fetching takes `FETCH_S` and storing takes
`STORE_S`, in threads around one lock, as in the real worker.
"""

from __future__ import annotations

import os
import platform
import threading
import time

from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.worker.activity import Activity, WorkerInfo
from pipelines.worker.spec import StylizerSpec

STEP_S = 0.1
FETCH_S = 0.2
STORE_S = 0.3


class SleepingWorker:
    """Fetches, generates and stores by sleeping; an outcome's `device` holds start and end."""

    def __init__(self, _spec: StylizerSpec) -> None:
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", "sleep", node, pid)
        self._lock = threading.Lock()

    def info(self) -> WorkerInfo:
        """Return the node and process of the worker."""
        return self._info

    def cancel(self, row_id: str) -> None:
        """Do nothing: rows run to their end."""

    def activity(self) -> Activity:
        """Return zeros: activity is not tracked."""
        return Activity(fetching=0, drawing=0, storing=0, cache_hits=0, cache_misses=0)

    def stylize(self, row: ManifestRow) -> Outcome:
        """Sleep for the time that the row sets."""
        work_s = STEP_S * row.parameters.num_steps
        time.sleep(FETCH_S)
        with self._lock:
            start = time.time()
            time.sleep(work_s)
            end = time.time()
        time.sleep(STORE_S)
        timings = Timings(
            fetch=1e3 * FETCH_S,
            condition=0,
            inference=1e3 * work_s,
            decode=0,
            store=1e3 * STORE_S,
        )
        return Outcome(
            row_id=row.id,
            width=64,
            height=64,
            timings=timings,
            worker=self._info.worker,
            device=f"{start} {end}",
        )
