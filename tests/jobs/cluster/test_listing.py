"""`uso jobs` prints the same facts as a table and as JSON."""

from __future__ import annotations

from datetime import datetime, timezone

from jobs.cluster.job import Job
from jobs.cluster.listing import _as_dict, _recorded_text
from jobs.cluster.recorded import Recorded

JOB = Job(
    id="uso-1", state="failed", exit_code=2, message="", output_uri="s3://b/out",
    started_at=datetime(2026, 1, 1, tzinfo=timezone.utc), ended_at=None, config_name="run.yaml",
    stop_wait_s=60,
)  # fmt: skip


def test_a_job_as_json() -> None:
    facts = _as_dict(JOB, Recorded(3, 1))
    assert facts["state"] == "not started"
    assert facts["started_at"] == "2026-01-01T00:00:00+00:00"
    assert facts["recorded"] == {"completed": 3, "failed": 1}
    assert _as_dict(JOB, None)["recorded"] is None


def test_the_records_as_text() -> None:
    assert _recorded_text(Recorded(1000, 1)) == "1,000, 1 failed"
    assert _recorded_text(None) == "not readable"
