"""`uso logs`: what a job has printed, or prints."""

from __future__ import annotations

import asyncio
import sys

from jobs import exits, screen
from jobs.cluster.server import JobServer


def logs_command(name: str, address: str, *, follow: bool) -> int:
    """Print a job's log, and return the exit code: with `follow`, what `uso run` would have."""
    with exits.exit_on_error():
        server = JobServer(address)
        job = server.job(name)
        if follow:
            return asyncio.run(follow_to_end(server, job.id))
        _print(server.log(job.id))
    return exits.DONE


async def follow_to_end(server: JobServer, job_id: str) -> int:
    """Print what a job prints until it ends; Ctrl-C ends the following, not the job.

    Raises:
        JobServerError: the server does not answer any more.
    """
    try:
        async for text in server.follow(job_id):
            _print(text)
    except asyncio.CancelledError:
        screen.err().print(f"Not followed any more; the job goes on. Stop it: uso stop {job_id}")
        return exits.INTERRUPTED
    job = server.job(job_id)
    if job.state == "failed" and job.exit_code is None:  # it never got to print why
        exits.say_error(job.message)
    screen.err().print(f"job {job_id}: {job.outcome}", soft_wrap=True)
    return job.command_exit_code


def _print(text: str) -> None:
    """As it is, but for what could do something to a terminal; a progress bar's turns as lines."""
    sys.stdout.write(screen.lines(text.replace("\r\n", "\n").replace("\r", "\n")))
    sys.stdout.flush()
