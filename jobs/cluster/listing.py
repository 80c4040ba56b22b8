"""`uso jobs`: lists the Ray jobs of a cluster, and counts their records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.cluster.job import Job
from jobs.cluster.recorded import rows_recorded
from jobs.cluster.server import JobServer
from jobs.outputs import storage_options
from pipelines.storage.filesystems import Options

_MOST_OUTPUTS = 10  # reading millions of records takes seconds


def jobs_command(address: str, config_path: Path | None) -> int:
    """Print the Ray jobs that uso submitted, oldest first, and return the exit code."""
    with exits.exit_on_error():
        options = storage_options(config_path)
        jobs = [job for job in JobServer(address).jobs() if job.output_uri]
    console = terminal.out()
    if jobs:
        console.print(_table(jobs, _rows(jobs, options)))
    else:
        console.print("No jobs that uso submitted.")
    return exits.DONE


def _rows(jobs: Sequence[Job], options: Options) -> dict[str, str]:
    """Return the number of records by job id, for the last job of each of the last outputs."""
    newest = {job.output_uri: job for job in jobs}
    shown = sorted(newest.values(), key=jobs.index)[-_MOST_OUTPUTS:]
    found = {job.id: rows_recorded(job.output_uri, options) for job in shown}
    return {
        job_id: "not readable" if rows is None else f"{rows.completed:,}, {rows.failed:,} failed"
        for job_id, rows in found.items()
    }


def _table(jobs: Sequence[Job], rows: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("job", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("started (UTC)", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("recorded", justify="right", no_wrap=True)
    table.add_column("output", overflow="fold")
    now = datetime.now(timezone.utc)
    for job in jobs:
        took_s = job.took_s(now)
        took = "" if took_s is None else terminal.duration(took_s)
        began = "" if job.started_at is None else f"{job.started_at:%Y-%m-%d %H:%M:%S}"
        cells = (job.id, job.outcome, began, took, rows.get(job.id, ""), job.output_uri)
        table.add_row(*(Text(terminal.one_line(cell)) for cell in cells))
    return table
