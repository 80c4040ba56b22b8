"""`uso jobs`: lists the Ray jobs of a cluster, and counts their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.cluster.job import Job
from jobs.cluster.recorded import Recorded, rows_recorded
from jobs.cluster.server import JobServer
from jobs.secret_settings import storage_options
from pipelines.storage.filesystems import Options

_MOST_OUTPUTS = 10  # reading millions of records takes seconds


def jobs_command(address: str, config_path: Path | None, *, as_json: bool = False) -> int:
    """Print the Ray jobs that uso submitted, oldest first, and return the exit code."""
    with exits.exit_on_error():
        options = storage_options(config_path)
        jobs = [job for job in JobServer(address).jobs() if job.output_uri]
    recorded = _recorded(jobs, options)
    if as_json:
        terminal.print_json([_as_dict(job, recorded.get(job.id)) for job in jobs])
    elif jobs:
        terminal.out().print(_table(jobs, recorded))
    else:
        terminal.out().print("No jobs that uso submitted.")
    return exits.DONE


def _recorded(jobs: Sequence[Job], options: Options) -> dict[str, Recorded | None]:
    """Return the records by job id, for the last job of each of the last outputs.

    None stands for an output that cannot be read.
    """
    newest = {job.output_uri: job for job in jobs}
    shown = sorted(newest.values(), key=jobs.index)[-_MOST_OUTPUTS:]
    return {job.id: rows_recorded(job.output_uri, options) for job in shown}


def _as_dict(job: Job, recorded: Recorded | None) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": job.outcome,
        "exit_code": job.exit_code,
        "message": job.message,
        "started_at": None if job.started_at is None else job.started_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
        "output": job.output_uri,
        "config": job.config_name,
        "recorded": None if recorded is None else asdict(recorded),
    }


def _recorded_text(rows: Recorded | None) -> str:
    return "not readable" if rows is None else f"{rows.completed:,}, {rows.failed:,} failed"


def _table(jobs: Sequence[Job], recorded: Mapping[str, Recorded | None]) -> Table:
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
        rows = _recorded_text(recorded[job.id]) if job.id in recorded else ""
        cells = (job.id, job.outcome, began, took, rows, job.output_uri)
        table.add_row(*(Text(terminal.one_line(cell)) for cell in cells))
    return table
