"""Reads the records and the run file of a Ray job, if this machine can reach the output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.cluster.job import Job
from jobs.outputs import newest_run_file
from pipelines.errors import LedgerError, StorageError
from pipelines.ledger.ledger import count_records
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage

_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Recorded:
    """The number of rows with a record in an output.

    Attributes:
        completed: completed rows.
        failed: failed rows.
    """

    completed: int
    failed: int


def rows_recorded(output_uri: str, options: Options) -> Recorded | None:
    """Return the number of rows recorded in an output, or None if it cannot be read."""
    try:
        counts = count_records(Storage.at(output_uri, options, patience_s=_PATIENCE_S))
    except (StorageError, LedgerError):
        return None
    return Recorded(counts.completed, counts.failed)


def state_of_run(job: Job, options: Options) -> str | None:
    """Return the state in the run file of a job's run, or None if it cannot be read.

    The newest run that started after the job is taken as the run of the job.
    """
    if not job.output_uri or job.started_at is None:
        return None
    try:
        storage = Storage.at(job.output_uri, options, patience_s=_PATIENCE_S)
        newest = newest_run_file(storage)
        document = {} if newest is None else json.loads(storage.read(newest))
    except (StorageError, ValueError):  # out of reach or damaged
        return None
    return _state_since(document, job.started_at)


def _state_since(document: Mapping[str, Any], began: datetime) -> str | None:
    written = document.get("started_at")
    if not written or datetime.fromisoformat(written) < began.replace(microsecond=0):
        return None
    return str(document.get("state"))
