"""Checks the values of records against their fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipelines.errors import ConfigError
from pipelines.replay.recorded_row import RecordedRows
from pipelines.replay.stored_run import StoredRun, StoredRuns
from pipelines.storage.storage import Storage
from uso_core.request import Limits

_ANY = Limits(min_size=16, max_size=2048)  # those of the model are not read


class RecordCheck:
    """Compares what decides about an image with the fingerprint in its record.

    Attributes:
        lost: runs whose run file is gone or damaged, so that their records are not checked.
        foreign: runs of another version, whose configuration this one does not accept.
    """

    def __init__(self, output: Storage) -> None:
        """Check records of `output`."""
        self.lost: Counter[str] = Counter()
        self.foreign: Counter[str] = Counter()
        self._runs = StoredRuns(output)
        self._rows: dict[str, RecordedRows | None] = {}

    def agrees(self, record: Mapping[str, Any]) -> bool:
        """Return False if a completed record does not give its fingerprint.

        Raises:
            StorageError: the file of its run cannot be read.
        """
        run_id = record["run_id"]
        run = self._runs.find(run_id)
        if run_id not in self._rows:
            self._rows[run_id] = _rows_of(run)
        rows = self._rows[run_id]
        if rows is None:
            (self.lost if run is None else self.foreign)[run_id] += 1
            return True
        return rows.row(record).is_sure

    def signs(self, record: Mapping[str, Any]) -> bool:
        """Return True if the run of a record has signed its images.

        Raises:
            StorageError: the file of its run cannot be read.
        """
        run = self._runs.find(record["run_id"])
        return run is not None and run.signs


def _rows_of(run: StoredRun | None) -> RecordedRows | None:
    if run is None:
        return None
    try:
        return RecordedRows(run.settings(), run.model, _ANY)
    except ConfigError:  # another version's
        return None
