"""Checks the values of records against their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.errors import ConfigError
from pipelines.replay.recorded_row import RecordedRows
from pipelines.replay.stored_run import StoredRuns
from pipelines.storage.storage import Storage
from uso_core.request import Limits

_ANY = Limits(min_size=16, max_size=2048)  # those of the model are not read


class RecordCheck:
    """Compares what decides about an image with the fingerprint in its record.

    Attributes:
        unknown: runs whose run file is gone, so that their records are not checked.
    """

    def __init__(self, output: Storage) -> None:
        """Check records of `output`."""
        self.unknown: set[str] = set()
        self._runs = StoredRuns(output)
        self._rows: dict[str, RecordedRows | None] = {}

    def agrees(self, record: Mapping[str, Any]) -> bool:
        """Return False if a completed record does not give its fingerprint.

        Raises:
            StorageError: the file of its run cannot be read.
        """
        run_id = record["run_id"]
        if run_id not in self._rows:
            self._rows[run_id] = self._rows_of(run_id)
        rows = self._rows[run_id]
        return rows is None or rows.row(record).is_sure

    def _rows_of(self, run_id: str) -> RecordedRows | None:
        run = self._runs.find(run_id)
        if run is not None:
            try:
                return RecordedRows(run.settings(), run.model, _ANY)
            except ConfigError:  # another version's
                pass
        self.unknown.add(run_id)
        return None
