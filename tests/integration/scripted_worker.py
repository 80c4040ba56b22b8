"""Workers for the tests of the pool; a row's prompt scripts what happens."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import replace
from pathlib import Path

from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.worker.activity import Activity, WorkerInfo
from pipelines.worker.spec import StylizerSpec
from uso_core.request import Parameters


class ScriptedWorker:
    """Rows complete in a millisecond of device time, unless the prompt says something else.

    `die` ends the process, and `die-after:FILE` once a file exists; `raise` raises; `sleep:S` takes
    S seconds.
    """

    def __init__(self, spec: StylizerSpec) -> None:
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", "cpu", node, pid)

    def info(self) -> WorkerInfo:
        return self._info

    def cancel(self, row_id: str) -> None:
        raise NotImplementedError

    def activity(self) -> Activity:
        return Activity(fetching=0, drawing=1, storing=0, cache_hits=0, cache_misses=0)

    def stylize(self, row: ManifestRow) -> Outcome:
        if row.prompt == "die":
            os._exit(11)
        if row.prompt.startswith("die-after:"):
            while not os.path.exists(row.prompt.removeprefix("die-after:")):
                time.sleep(0.01)
            os._exit(11)
        if row.prompt == "raise":
            raise KeyError("a bug in the worker")
        if row.prompt.startswith("sleep:"):
            time.sleep(float(row.prompt.removeprefix("sleep:")))
        times = Timings(fetch=0, condition=0, inference=1, decode=0, store=0)
        return Outcome(row_id=row.id, worker=self._info.worker, timings=times)


class CannotLoadWorker(ScriptedWorker):
    """Fails to load: its weights are missing."""

    def __init__(self, spec: StylizerSpec) -> None:
        raise FileNotFoundError("flux1-dev.safetensors is not there")


class CrashesAtStartWorker(ScriptedWorker):
    """Exits while loading the first time, as recorded by the marker file."""

    def __init__(self, spec: StylizerSpec) -> None:
        assert spec.output is not None
        marker = Path(spec.output.path) / "crashed"
        if not marker.exists():
            marker.touch()
            os._exit(12)
        super().__init__(spec)


class LoadsBesideAnotherWorker(ScriptedWorker):
    """Finishes loading once two workers are loading, as recorded by their marker files."""

    def __init__(self, spec: StylizerSpec) -> None:
        assert spec.output is not None
        folder = Path(spec.output.path)
        (folder / f"loading-{os.getpid()}").touch()
        give_up_at = time.monotonic() + 20
        while len(list(folder.glob("loading-*"))) < 2:
            if time.monotonic() > give_up_at:
                raise TimeoutError("no other worker loads")
            time.sleep(0.02)
        super().__init__(spec)


class ShowsEnvironmentWorker(ScriptedWorker):
    """Returns the environment variable named by the row, as `device`."""

    def stylize(self, row: ManifestRow) -> Outcome:
        return Outcome(row_id=row.id, device=os.environ[row.id])


class SlowToAnswerWorker(ScriptedWorker):
    """Delays its answer about activity; `cache_hits` counts the queries."""

    _asked = 0

    def activity(self) -> Activity:
        self._asked += 1
        time.sleep(0.3)
        return replace(super().activity(), cache_hits=self._asked)


def scripted_row(name: str, prompt: str = "") -> ManifestRow:
    return ManifestRow(name, prompt, None, (), Parameters(), "f")
