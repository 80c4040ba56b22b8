"""`uso stop`: stops a Ray job gracefully."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import exits, terminal
from jobs.cluster.job import Job
from jobs.cluster.recorded import rows_recorded, state_of_run
from jobs.cluster.server import JobServer
from jobs.secret_settings import storage_options
from pipelines.storage.filesystems import Options

_POLL_S = 0.5
_LINE_EVERY_S = 15


def stop_command(name: str, address: str, config_path: Path | None) -> int:
    """Stop a job, wait until it has ended, and return the exit code.

    Returns:
        0: all finished rows are recorded. 1: the job was killed before it had recorded them;
        existing records stay.
    """
    console = terminal.out()
    with exits.exit_on_error():
        options = storage_options(config_path)
        server = JobServer(address)
        job = server.job(name)
        job_id = job.id
        if job.ended:
            console.print(f"job {job_id} had already ended: {job.outcome}", soft_wrap=True)
            return exits.DONE
        server.stop(job_id)
        began = time.monotonic()
        with _progress(job) as show:
            while not (job := server.job(job_id)).ended:
                show(time.monotonic() - began)
                time.sleep(_POLL_S)
    took_s = time.monotonic() - began
    if not _ended_gracefully(job, took_s, options):
        exits.print_error(
            f"job {job_id} was killed after {job.stop_wait_s} s, before it had recorded "
            "everything; existing records stay, and the next run generates the rest"
        )
        return exits.RUN_FAILED
    console.print(f"job {job_id} stopped after {took_s:.0f} s; all finished rows are recorded.")
    _print_rows(job, options)
    console.print("resume      submit the same configuration again", soft_wrap=True)
    return exits.DONE


def _ended_gracefully(job: Job, took_s: float, options: Options) -> bool:
    """Return True if the run file says so or, out of reach, if Ray did not kill the job."""
    state = state_of_run(job, options)
    if state is not None:
        return state != "running"
    return took_s < job.stop_wait_s


def _print_rows(job: Job, options: Options) -> None:
    rows = rows_recorded(job.output_uri, options) if job.output_uri else None
    if rows is not None:
        counts = f"{rows.completed:,} completed, {rows.failed:,} failed"
        terminal.out().print(f"recorded    {counts} in {terminal.one_line(job.output_uri)}")


@contextmanager
def _progress(job: Job) -> Iterator[Callable[[float], None]]:
    """Show the elapsed time: live in a terminal, as a line every 15 s elsewhere."""
    console = terminal.err()
    most = terminal.duration(job.stop_wait_s)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda seconds: status.update(_line(seconds, most))
        return
    pace = terminal.Pace(_LINE_EVERY_S)

    def show(seconds: float) -> None:
        if pace.due():
            console.print(_line(seconds, most), soft_wrap=True)

    yield show


def _line(seconds: float, most: str) -> str:
    return f"[{terminal.duration(seconds)}] waiting for rows in progress, {most} at most"
