"""`uso stop`: a job ends in good order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import exits, screen
from jobs.cluster.job import Job
from jobs.cluster.recorded import rows_recorded, state_of_run
from jobs.cluster.server import JobServer
from jobs.outputs import storage_options
from jobs.pace import Pace
from jobs.progress import duration
from pipelines.storage.filesystems import Options

_POLL_S = 0.5
_LINE_EVERY_S = 15


def stop_command(name: str, address: str, config_path: Path | None) -> int:
    """Ask a job to end, wait until it has, and return the exit code.

    0: what had ended is recorded. 1: it was killed before it could say so; what was recorded
    until then stays.
    """
    console = screen.out()
    with exits.exit_on_error():
        options = storage_options(config_path)
        server = JobServer(address)
        job = server.job(name)
        job_id = job.id
        if job.ended:
            console.print(f"job {job_id} has ended before: {job.outcome}", soft_wrap=True)
            return exits.DONE
        server.stop(job_id)
        began = time.monotonic()
        with _progress(job) as say:
            while not (job := server.job(job_id)).ended:
                say(time.monotonic() - began)
                time.sleep(_POLL_S)
    took_s = time.monotonic() - began
    if not _in_good_order(job, took_s, options):
        exits.say_error(
            f"job {job_id} was killed after {job.stop_wait_s} s, before it had recorded "
            "everything; what was recorded stays, and the next run draws the rest"
        )
        return exits.RUN_FAILED
    console.print(f"job {job_id} ended after {took_s:.0f} s; what it drew is recorded.")
    _say_rows(job, options)
    console.print("go on       submit the same configuration again", soft_wrap=True)
    return exits.DONE


def _in_good_order(job: Job, took_s: float, options: Options) -> bool:
    """By its run file; where that is out of reach, by Ray not having had to kill it."""
    state = state_of_run(job, options)
    if state is not None:
        return state != "running"
    return took_s < job.stop_wait_s


def _say_rows(job: Job, options: Options) -> None:
    rows = rows_recorded(job.output_uri, options) if job.output_uri else None
    if rows is not None:
        counts = f"{rows.completed:,} completed, {rows.failed:,} failed"
        screen.out().print(f"recorded    {counts} in {screen.one_line(job.output_uri)}")


@contextmanager
def _progress(job: Job) -> Iterator[Callable[[float], None]]:
    """A line that counts in a terminal, a line now and then elsewhere."""
    console = screen.err()
    most = duration(job.stop_wait_s)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda seconds: status.update(_line(seconds, most))
        return
    pace = Pace(_LINE_EVERY_S)

    def say(seconds: float) -> None:
        if pace.due():
            console.print(_line(seconds, most), soft_wrap=True)

    yield say


def _line(seconds: float, most: str) -> str:
    return f"[{duration(seconds)}] rows on the actors end and are recorded, {most} at most"
