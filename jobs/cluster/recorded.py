"""What a job's output holds, as far as it can be read from here."""

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
    """Rows with a record in an output.

    Attributes:
        completed: rows.
        failed: rows.
    """

    completed: int
    failed: int


def rows_recorded(output_uri: str, options: Options) -> Recorded | None:
    """How many rows an output has recorded; None where it cannot be read from here."""
    try:
        counts = count_records(Storage.at(output_uri, options, patience_s=_PATIENCE_S))
    except (StorageError, LedgerError):
        return None
    return Recorded(counts.completed, counts.failed)


def state_of_run(job: Job, options: Options) -> str | None:
    """What the run file of a job's run says; None where there is none that can be read from here.

    The newest run that began after the job did is taken for the job's.
    """
    if not job.output_uri or job.started_at is None:
        return None
    try:
        storage = Storage.at(job.output_uri, options, patience_s=_PATIENCE_S)
        newest = newest_run_file(storage)
        document = {} if newest is None else json.loads(storage.read(newest))
    except (StorageError, ValueError):  # out of reach, or damaged
        return None
    return _state_since(document, job.started_at)


def _state_since(document: Mapping[str, Any], began: datetime) -> str | None:
    written = document.get("started_at")
    if not written or datetime.fromisoformat(written) < began.replace(microsecond=0):
        return None
    return str(document.get("state"))
