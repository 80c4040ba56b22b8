"""Workers whose work is a known sleep: what a pipeline makes of actors, without a model.

A row's steps say how long its drawing takes, `STEP_S` each. References take `FETCH_S` and images
take `STORE_S` to get to the store, in threads around one lock, as in the real worker.
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
    """Fetches, draws and stores by sleeping; `device` in its outcomes holds start and end."""

    def __init__(self, _spec: StylizerSpec) -> None:
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", "sleep", node, pid)
        self._lock = threading.Lock()

    def info(self) -> WorkerInfo:
        """Where it runs."""
        return self._info

    def activity(self) -> Activity:
        """Not told."""
        return Activity(fetching=0, drawing=0, storing=0, cache_hits=0, cache_misses=0)

    def stylize(self, row: ManifestRow) -> Outcome:
        """Sleep as long as the row says."""
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
