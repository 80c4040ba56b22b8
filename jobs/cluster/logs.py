"""`uso logs`: prints the output of a Ray job."""

from __future__ import annotations

import asyncio
import sys

from jobs import exits, terminal
from jobs.cluster.server import JobServer


def logs_command(name: str, address: str, *, follow: bool) -> int:
    """Print the output of a job; with `follow`, until its end. Return the exit code."""
    with exits.exit_on_error():
        server = JobServer(address)
        job = server.job(name)
        if follow:
            return asyncio.run(follow_to_end(server, job.id))
        _print(server.log(job.id))
    return exits.DONE


async def follow_to_end(server: JobServer, job_id: str) -> int:
    """Print the output of a job until it ends. Ctrl-C ends the printing, but not the job.

    Returns:
        The exit code of the job's `uso run`, or 130 after Ctrl-C.

    Raises:
        JobServerError: the server no longer answers.
    """
    try:
        async for text in server.follow(job_id):
            _print(text)
    except asyncio.CancelledError:
        terminal.err().print(
            f"No longer following; the job continues. To stop it: uso stop {job_id}"
        )
        return exits.INTERRUPTED
    job = server.job(job_id)
    if job.state == "failed" and job.exit_code is None:  # it could not print the reason itself
        exits.print_error(job.message)
    terminal.err().print(f"job {job_id}: {job.outcome}", soft_wrap=True)
    return job.command_exit_code


def _print(text: str) -> None:
    """Write text with control characters escaped, and each update of a progress bar as a line."""
    sys.stdout.write(terminal.lines(text.replace("\r\n", "\n").replace("\r", "\n")))
    sys.stdout.flush()
