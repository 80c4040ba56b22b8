from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from ray.job_submission import JobDetails, JobType

from jobs import exits
from jobs.cluster.job import Job, job_of, jobs_named, stop_wait_s


def details(**fields: Any) -> JobDetails:
    return JobDetails(type=JobType.SUBMISSION, entrypoint="x", submission_id="wave-1", **fields)


@pytest.mark.parametrize(
    ("status", "exit_code", "outcome", "code"),
    [
        ("SUCCEEDED", 0, "done", exits.DONE),
        ("STOPPED", None, "stopped", exits.INTERRUPTED),
        ("FAILED", 1, "failed", exits.RUN_FAILED),
        ("FAILED", 2, "not started", exits.WRONG_INPUT),
        ("FAILED", 3, "over budget", exits.OVER_BUDGET),
        ("FAILED", 130, "interrupted", exits.INTERRUPTED),
        ("FAILED", -9, "failed", exits.RUN_FAILED),
        ("FAILED", None, "failed", exits.RUN_FAILED),
    ],
)
def test_the_outcome_of_an_ended_job(
    status: str, exit_code: int | None, outcome: str, code: int
) -> None:
    job = job_of(details(status=status, driver_exit_code=exit_code))
    assert job.ended
    assert (job.outcome, job.command_exit_code) == (outcome, code)


def test_a_check_that_found_problems_says_so() -> None:
    metadata = {"uso_command": "validate", "uso_output": "out"}
    job = job_of(details(status="FAILED", driver_exit_code=2, metadata=metadata))
    assert (job.outcome, job.command_exit_code) == ("has problems", exits.WRONG_INPUT)


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_the_outcome_of_an_active_job(status: str) -> None:
    job = job_of(details(status=status))
    assert not job.ended
    assert job.outcome == status.lower()


def test_the_metadata_of_a_job_is_read_back() -> None:
    job = job_of(
        details(
            status="RUNNING",
            start_time=1_795_200_109_085,
            metadata={"uso_output": "s3://bucket/out", "uso_config": "wave.yaml"},
            runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "240"}},
        )
    )
    assert (job.id, job.output_uri, job.config_name) == ("wave-1", "s3://bucket/out", "wave.yaml")
    assert job.stop_wait_s == 240
    assert f"{job.started_at:%Y-%m-%d %H:%M:%S}" == "2026-11-20 18:41:49"


def test_a_job_of_another_tool() -> None:
    job = job_of(details(status="RUNNING"))
    assert (job.output_uri, job.stop_wait_s) == ("", 3)
    odd = {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "10.5"}}
    assert job_of(details(status="FAILED", runtime_env=odd)).stop_wait_s == 3


def test_the_duration_of_a_job() -> None:
    running = job_of(details(status="RUNNING", start_time=1_795_200_109_000))
    assert running.started_at is not None
    assert running.took_s(running.started_at + timedelta(minutes=1)) == 60
    assert (
        running.took_s(running.started_at - timedelta(seconds=5)) == 0
    )  # the cluster's clock is ahead
    ended = replace(running, ended_at=running.started_at + timedelta(seconds=9))
    assert ended.took_s(running.started_at + timedelta(minutes=1)) == 9
    assert replace(running, started_at=None).took_s(running.started_at) is None


def test_the_time_to_stop_includes_the_grace_period_and_the_commit() -> None:
    assert stop_wait_s(59.5) == 60 + 180


def named(job_id: str, state: str) -> Job:
    ours = {"uso_output": "s3://bucket/out"} if job_id != "wave-of-others" else {}
    made = job_of(details(status=state, metadata=ours))
    return replace(made, id=job_id)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("wave-1", ["wave-1"]),
        ("wave-2", ["wave-2"]),
        ("wave-2-b", ["wave-2-b"]),
        ("wave", ["wave-2", "wave-2-b"]),
        ("old", ["old-2"]),
        ("", []),
        ("wave-of", []),
        ("wave-of-others", ["wave-of-others"]),
    ],
)
def test_the_beginning_of_an_id_names_a_job(name: str, meant: list[str]) -> None:
    jobs = [
        named("old-1", "SUCCEEDED"),
        named("old-2", "FAILED"),
        named("wave-1", "STOPPED"),
        named("wave-2", "RUNNING"),
        named("wave-2-b", "PENDING"),
        named("wave-of-others", "RUNNING"),
    ]
    assert [job.id for job in jobs_named(jobs, name)] == meant
