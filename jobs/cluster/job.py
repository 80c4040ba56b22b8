"""One job of a cluster, as its server tells of it."""

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
"""Names in a job's metadata."""

STOP_WAIT_KEY = "RAY_JOB_STOP_WAIT_TIME_S"
"""Environment variable: seconds between Ray's SIGTERM and its SIGKILL when a job is stopped."""

_RAYS_STOP_WAIT_S = 3
# Beside the rows on the actors: what has ended is recorded, on a store that may be slow to answer.
_COMMIT_S = 180

_STATES: dict[str, JobState] = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "STOPPED": "stopped",
}
_FAILURES = {
    exits.WRONG_INPUT: "wrong configuration",
    exits.OVER_BUDGET: "over budget",
    exits.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        id: as given when it was submitted.
        state: the server's.
        exit_code: of its command, once that has ended by itself.
        message: the server's, about the state.
        started_at: when it was taken up.
        ended_at: when it ended.
        output_uri: where its run writes; empty: not submitted by `uso submit`.
        config_name: of the file that was submitted.
        stop_wait_s: seconds that it gets to stop in good order.
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

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("succeeded", "failed", "stopped")

    def took_s(self, now: datetime) -> float | None:
        """Seconds from its start to its end or to `now`; None: it was not taken up yet.

        Never less than 0: the cluster's clock may be ahead of this machine's.
        """
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())

    @property
    def outcome(self) -> str:
        """The state in the words of `uso run`'s exit codes."""
        if self.state == "failed" and self.exit_code in _FAILURES:
            return _FAILURES[self.exit_code]
        return "done" if self.state == "succeeded" else self.state

    @property
    def command_exit_code(self) -> int:
        """What a command that waited for the job exits with: what `uso run` would have."""
        if self.state == "succeeded":
            return exits.DONE
        if self.state == "stopped":
            return exits.INTERRUPTED
        return self.exit_code if self.exit_code in _FAILURES else exits.RUN_FAILED


def job_of(details: JobDetails) -> Job:
    """A job from what Ray's client returns."""
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
        stop_wait_s=_seconds(env.get(STOP_WAIT_KEY, "")),
    )


def jobs_named(jobs: Sequence[Job], name: str) -> list[Job]:
    """The jobs that a user may mean by `name`.

    The one with this id; else, of those of `uso submit` whose ids begin with it, all that have not
    ended; else the last of them.

    Args:
        jobs: oldest first.
        name: an id or the beginning of one.
    """
    exact = [job for job in jobs if job.id == name]
    ours = [job for job in jobs if job.output_uri] if name else []  # "$JOB" may be empty
    alike = [job for job in ours if job.id.startswith(name)]
    return exact or [job for job in alike if not job.ended] or alike[-1:]


def stop_wait_s(stop_grace_s: float) -> int:
    """Seconds that a job needs to stop in good order: rows end, and are recorded."""
    return math.ceil(stop_grace_s) + _COMMIT_S


def _seconds(written: str) -> int:
    """Ray's own where none are given, or none that are a number: it may be anybody's job."""
    return int(written) if written.isdecimal() else _RAYS_STOP_WAIT_S


def _time(milliseconds: int | None) -> datetime | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
