"""The parts of an output for its driver: written, merged, and written again if one is lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pyarrow as pa

from pipelines.ledger.compaction import compact_parts
from pipelines.ledger.live_parts import LiveParts
from pipelines.ledger.look import look_in
from pipelines.ledger.part_writer import PartWriter
from pipelines.ledger.parts import Part, PartVanishedError, list_parts
from pipelines.ledger.scan import Scan
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)


class OwnedParts:
    """All parts that the driver has found or written; not thread-safe.

    Attributes:
        writer: writes the parts of this run.
        superseded: True if a part may hold a record that another record replaces.
    """

    def __init__(self, storage: Storage, scan: Scan, run_id: str) -> None:
        """Take over the parts of a scan.

        Args:
            storage: the output folder.
            scan: all parts that were there.
            run_id: the run; no other run may have the same id.
        """
        self._storage = storage
        self._live = LiveParts(zip(scan.parts, scan.num_rows, strict=True))
        self.writer = PartWriter(storage, run_id, scan.parts)
        self.superseded = not scan.wins.all()

    @property
    def num_small(self) -> int:
        """The number of parts that `compact_small` would merge."""
        return self._live.num_small

    def write(self, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> int:
        """Write a part, and return its number of rows; raises as `PartWriter.write`."""
        part, rows = self.writer.write(batches, schema), sum(map(len, batches))
        self._live.add(part, rows)
        return rows

    def compact_small(self) -> None:
        """Merge the small parts; raises as `compact_parts`."""
        self._compact(self._live.small)

    def compact(self) -> None:
        """Leave one record per id; only small parts are read if no record is superseded.

        Raises:
            LeaseLostError, LedgerError, StorageError: see `compact_parts`.
        """
        parts = list_parts(self._storage)
        self.writer.check_alone(parts)
        # An earlier driver may have added parts, before it noticed that its lease was lost.
        if not self.superseded and self._live.paths.issuperset(part.path for part in parts):
            self.compact_small()
        elif self._compact(parts):
            self.superseded = False

    def restore(self) -> list[str]:
        """Write again the parts that have vanished; return the paths of those it cannot.

        Raises:
            LeaseLostError: another driver has taken over.
            StorageError: the parts cannot be listed or written.
        """
        parts = list_parts(self._storage)
        self.writer.check_alone(parts)
        there = {part.path for part in parts}
        gone: list[str] = []
        for path in sorted(self._live.paths - there):
            part = self.writer.write_again(path)
            if part is None:
                gone.append(path)
                continue
            logger.warning("part_lost uri=%s written_again=%s", self._storage.uri(path), part.path)
            self._live.remove(path)
            self._live.add(part, 1)
        return gone

    def _compact(self, parts: Sequence[Part]) -> bool:
        """Rewrite parts; if one has vanished, restore the lost parts and return False."""
        try:
            left = compact_parts(self._storage, look_in(self._storage, parts), self.writer)
        except PartVanishedError as error:
            logger.warning("compaction_skipped vanished_part=%s", error)
            if self.restore():
                # The known parts are out of date: the next full compaction lists them again.
                self._live.forget_small()
                self.superseded = True
            return False
        for part in parts:
            self._live.remove(part.path)
        for part, rows in left:
            self._live.add(part, rows)
        return True
