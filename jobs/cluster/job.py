"""A Ray job, as the job server describes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

from jobs import exits

if TYPE_CHECKING:
    from ray.job_submission import JobDetails

JobState = Literal["pending", "running", "succeeded", "failed", "stopped"]

OUTPUT_KEY = "uso_output"
CONFIG_KEY = "uso_config"
COMMAND_KEY = "uso_command"
"""Keys in the metadata of a Ray job: its output, the name of its configuration file, and its
command, if it is not `run`."""

STOP_WAIT_KEY = "RAY_JOB_STOP_WAIT_TIME_S"
"""Environment variable: seconds from SIGTERM to SIGKILL when Ray stops a job."""

_RAYS_STOP_WAIT_S = 3
# On top of the grace period for the rows: the last commit, on a store that may be slow.
_COMMIT_S = 180

_STATES: dict[str, JobState] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "STOPPED": "stopped",
}
_FAILURES = {
    exits.WRONG_INPUT: "not started",
    exits.OVER_BUDGET: "over budget",
    exits.DIFFERS: "differs",
    exits.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A Ray job.

    Attributes:
        id: the submission id.
        state: the state that the job server gives.
        exit_code: the exit code of its command; None: the command has not ended by itself.
        message: the explanation of the state by the job server.
        started_at: the start time; None: the job is waiting.
        ended_at: the end time; None: the job has not ended.
        output_uri: the output of its run; empty: `uso submit` did not submit the job.
        config_name: the name of the configuration file that was submitted.
        stop_wait_s: the seconds that it has for a graceful stop.
        command: its command, `run` or `validate`.
    """

    id: str
    state: JobState
    exit_code: int | None
    message: str
    started_at: datetime | None
    ended_at: datetime | None
    output_uri: str
    config_name: str
    stop_wait_s: int
    command: str = "run"

    @property
    def ended(self) -> bool:
        """True if the job has ended, in whatever way."""
        return self.state in ("succeeded", "failed", "stopped")

    def took_s(self, now: datetime) -> float | None:
        """Return the seconds from the start to the end or to `now`, or None before the start.

        The result is at least 0, because the cluster's clock may be ahead of this machine's.
        """
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    @property
    def outcome(self) -> str:
        """The state, or the meaning of the exit code of its command."""
        if self.command == "validate" and self.exit_code == exits.WRONG_INPUT:
            return "has problems"
        if self.state == "failed" and self.exit_code in _FAILURES:
            return _FAILURES[self.exit_code]
        return "done" if self.state == "succeeded" else self.state

    @property
    def command_exit_code(self) -> int:
        """The exit code of a command that waited for the job: that of `uso run`."""
        if self.state == "succeeded":
            return exits.DONE
        if self.state == "stopped":
            return exits.INTERRUPTED
        return self.exit_code if self.exit_code in _FAILURES else exits.RUN_FAILED


def job_of(details: JobDetails) -> Job:
    """Convert a job from the form of Ray's client."""
    metadata = details.metadata or {}
    env = (details.runtime_env or {}).get("env_vars") or {}
    return Job(
        id=details.submission_id or "",
        state=_STATES[details.status.value],
        exit_code=details.driver_exit_code,
        message=details.message or "",
        started_at=_time(details.start_time),
        ended_at=_time(details.end_time),
        output_uri=metadata.get(OUTPUT_KEY, ""),
        config_name=metadata.get(CONFIG_KEY, ""),
        command=metadata.get(COMMAND_KEY, "run"),
        stop_wait_s=_seconds(env.get(STOP_WAIT_KEY, "")),
    )


def jobs_named(jobs: Sequence[Job], name: str) -> list[Job]:
    """Return the jobs that a name can refer to.

    That is the job with this id. Without one, it is every job of `uso submit` whose id begins with
    the name and that has not ended. Without any, it is the last job whose id begins with the name.

    Args:
        jobs: all jobs, oldest first.
        name: an id or its beginning.
    """
    exact = [job for job in jobs if job.id == name]
    ours = [job for job in jobs if job.output_uri] if name else []  # "$JOB" may be empty
    alike = [job for job in ours if job.id.startswith(name)]
    return exact or [job for job in alike if not job.ended] or alike[-1:]


def stop_wait_s(stop_grace_s: float) -> int:
    """Return the seconds for a graceful stop: rows in progress finish and are recorded."""
    return math.ceil(stop_grace_s) + _COMMIT_S


def _seconds(written: str) -> int:
    """Parse a number of seconds; Ray's default if it is not a number, as in jobs of others."""
    return int(written) if written.isdecimal() else _RAYS_STOP_WAIT_S


def _time(milliseconds: int | None) -> datetime | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
