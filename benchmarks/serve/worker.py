"""The work of every contender: a sleep of known length."""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path

from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.storage.storage import Storage
from pipelines.worker.activity import Activity, WorkerInfo
from pipelines.worker.sink import FolderSink, ImageFile
from pipelines.worker.spec import StylizerSpec

_IMAGE = ImageFile(b"\x89PNG\r\n\x1a\n" + bytes(1000), "png")


class TimedWorker:
    """Sleeps, stores a file of 1 kB, and notes when its device worked.

    Args:
        spec: names the folder of the files.
        work_s: seconds on the device for each row.
        notes: folder of a file with the spans of this process, whose name is its number.
    """

    def __init__(self, spec: StylizerSpec, *, work_s: float, notes: Path) -> None:
        assert spec.output is not None
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", "sleep", node, pid)
        self._sink = FolderSink(Storage.at(spec.output.path))
        self._work_s = work_s
        self._spans = (notes / str(pid)).open("a", buffering=1)
        self._lock = threading.Lock()

    def info(self) -> WorkerInfo:
        """Return the node and process of the worker."""
        return self._info

    def activity(self) -> Activity:
        """Return zeros: activity is not tracked."""
        return Activity(fetching=0, drawing=0, storing=0, cache_hits=0, cache_misses=0)

    def cancel(self, row_id: str) -> None:
        """Do nothing: rows run to their end."""

    def stylize(self, row: ManifestRow) -> Outcome:
        """Sleep, one row at a time, and store a file."""
        with self._lock:
            start = time.time()
            time.sleep(self._work_s)
            end = time.time()
        self._spans.write(f"{start} {end}\n")
        began = time.perf_counter()
        (image,) = self._sink.save(row, [_IMAGE])
        store_ms = 1e3 * (time.perf_counter() - began)
        work_ms = 1e3 * (end - start)
        return Outcome(
            row_id=row.id,
            outputs=(image.uri,),
            sha256=(image.sha256,),
            image_bytes=(image.num_bytes,),
            width=64,
            height=64,
            timings=Timings(fetch=0, condition=0, inference=work_ms, decode=0, store=store_ms),
            worker=self._info.worker,
            device="sleep",
        )
