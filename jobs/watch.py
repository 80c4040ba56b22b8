"""`uso status --watch`: a run as it goes on, from its records and its run file alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs import exits, screen
from jobs.outputs import hint_at_config
from jobs.progress import duration
from jobs.status import open_output, print_counts, read_last_run
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.follow import LedgerFollower
from pipelines.ledger.lease import Heartbeat, read_holder
from pipelines.ledger.ledger import count_records
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.telemetry.rates import LastMinute

_SILENCE_S = 60.0  # a driver's heartbeat is renewed every 10 s
_BAR_WIDTH = 24
_AT_WORK = ("starting", "running")
_CODES = {"completed": exits.DONE, "failed": exits.RUN_FAILED, "interrupted": exits.INTERRUPTED}


@dataclass(frozen=True, slots=True)
class View:
    """A run as its output shows it.

    Attributes:
        counts: of all records, those of earlier runs included.
        run: what the newest run file says; of a run that has none yet, that it is starting.
        rows_per_s: recorded, over the last minute.
        silent_s: since the run's driver was last heard of; 0 where it is not at work.
    """

    counts: LedgerCounts
    run: Mapping[str, Any]
    rows_per_s: float
    silent_s: float

    @property
    def recorded(self) -> int:
        """Rows with a record."""
        return self.counts.completed + self.counts.failed

    @property
    def eta_s(self) -> float | None:
        """Seconds until every row of the manifest has a record; None where that is not known."""
        total = self.run["total"]
        if total is None or not self.rows_per_s:
            return None
        return max(0, int(total) - self.recorded) / self.rows_per_s

    @property
    def goes_on(self) -> bool:
        """Whether more is to be seen, if its driver is alive."""
        return self.run["state"] in _AT_WORK


class Watcher:
    """Looks at an output again and again; what it has read once it does not read again."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._follower = LedgerFollower(storage)
        self._marks = LastMinute[int]()
        self._heartbeat: Heartbeat | None = None
        self._heard_at = clock()

    def look(self) -> View | None:
        """How the output is now; None: there was no run.

        Raises:
            LedgerError: the records are damaged.
            StorageError: the output cannot be read.
        """
        run = read_last_run(self._storage)  # before the records: those of a run that ended are all
        holder = read_holder(self._storage)
        if holder is not None and _is_before(run, holder):
            run = _starting(holder)
        if run is None:
            return None
        counts = self._follower.poll()
        silent_s = self._silent_s(holder) if run["state"] in _AT_WORK else 0.0
        return View(counts, run, self._rows_per_s(counts.completed + counts.failed), silent_s)

    def _rows_per_s(self, recorded: int) -> float:
        now = self._clock()
        then, recorded_then = self._marks.note(now, recorded)
        return (recorded - recorded_then) / (now - then) if now > then else 0.0

    def _silent_s(self, holder: Heartbeat | None) -> float:
        if holder is not None and holder != self._heartbeat:
            self._heartbeat, self._heard_at = holder, self._clock()
        return self._clock() - self._heard_at


def _is_before(run: Mapping[str, Any] | None, holder: Heartbeat) -> bool:
    """Whether the newest run file is of an earlier run than the holder's, which has none yet."""
    return run is None or (run["state"] in _CODES and run["run_id"] != holder.run_id)


def _starting(holder: Heartbeat) -> dict[str, Any]:
    names = ("reason", "started_at", "updated_at", "total")
    return {"run_id": holder.run_id, "state": "starting", **dict.fromkeys(names)}


def watch_command(output: str, *, every_s: float, config_path: Path | None) -> int:
    """Show an output until its run has ended, and return the exit code.

    A driver of which nothing is heard for a minute has been killed, or is cut off from its output.
    """
    console = screen.out()
    try:
        with exits.exit_on_error(), hint_at_config(config_path):
            storage = open_output(output, config_path)
            view = _watch(Watcher(storage), console, every_s)
            counts = count_records(storage)  # once more, for an example of each failure
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    if view is None:
        exits.say_error(f"{redact_uri(output)}: no run; check the path")
        return exits.WRONG_INPUT
    print_counts(storage, counts, view.run, console)
    if view.run["state"] in _CODES:
        return _CODES[view.run["state"]]
    exits.say_error(
        f"run {view.run['run_id']} says {view.run['state']}, and nothing was heard of its driver "
        f"for {view.silent_s:.0f} s: it was killed, or is cut off from the output. The same "
        "command goes on"
    )
    return exits.RUN_FAILED


def _watch(watcher: Watcher, console: Console, every_s: float) -> View | None:
    """Show what there is until nothing more will come; returns the last view."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            view = watcher.look()
            if view is None or not view.goes_on or view.silent_s > _SILENCE_S:
                return view
            if console.is_terminal:
                live.update(_drawn(view), refresh=True)
            else:
                console.print(f"[{time.strftime('%H:%M:%S')}] {line(view)}", soft_wrap=True)
            time.sleep(every_s)


def line(view: View) -> str:
    """How far the run is, how fast, and how long it will take."""
    total = view.run["total"]
    of_total = "" if total is None else f" of {total:,}"
    parts = [f"{view.recorded:,}{of_total} rows recorded", f"{view.counts.failed:,} failed"]
    parts.append(f"{view.rows_per_s:.2f} rows/s")
    if view.eta_s is not None:
        parts.append(f"{duration(view.eta_s)} to go")
    if view.run["state"] == "starting":
        parts.append("a run is starting")
    return " · ".join(parts)


def _drawn(view: View) -> Group:
    total = view.run["total"]
    bar = ProgressBar(
        total=None if total is None else float(total), completed=view.recorded, width=_BAR_WIDTH
    )
    first = Table.grid(padding=(0, 1))
    first.add_row(bar, Text(line(view)))
    second = Text(screen.one_line(f"run {view.run['run_id']}"), style="dim")
    codes = view.counts.failed_by_code.items()
    failures = [Text(f"  {screen.one_line(code)}  {count:,}") for code, count in codes]
    return Group(first, second, *failures)
