"""Writes the parts of one run, each under the next name, and again if the store loses one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipelines.errors import LeaseLostError
from pipelines.ledger.part_names import PartName
from pipelines.ledger.parts import Part, encoded
from pipelines.storage.storage import Storage

_KEPT_BYTES = 32 * 2**20


class PartWriter:
    """The only writer of a run's parts; not thread-safe.

    A part is created, never replaced, if the store can do that. A run that takes over creates an
    empty part under the next name of this one (see `fence`), so that no write of this run can land
    after it: not even one that was on its way while the process was suspended.
    """

    def __init__(self, storage: Storage, run_id: str, parts: Sequence[Part]) -> None:
        """Write to `storage`.

        Args:
            storage: the output folder.
            run_id: the run; no other run may have the same id.
            parts: all parts that the run found.
        """
        self._storage = storage
        self._next = PartName.first(run_id, parts)
        self._kept: dict[str, bytes] = {}
        self.last_path: str | None = None

    def check_alone(self, parts: Iterable[Part]) -> None:
        """Check that no part is of a run which started later, or is a fence for this one.

        The name of the next part then sorts after those of all these parts.

        Raises:
            LeaseLostError: one is.
        """
        for name in map(PartName.of, parts):
            if name is None or name.turn < self._next.turn:
                continue
            if name.run != self._next.run or name.number >= self._next.number:
                raise LeaseLostError.of(self._storage.uri())

    def write(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Part:
        """Write one part in one operation.

        Raises:
            LeaseLostError: another driver has taken over; nothing is written.
            StorageError: the part cannot be written.
        """
        return self._write(encoded(batches, schema))

    def write_again(self, path: str) -> Part | None:
        """Write a lost part of this run under the next name; None if its content is not known.

        The contents of the latest parts are kept, up to 32 MiB in all. Raises as `write` does.
        """
        content = self._kept.pop(path, None)
        return None if content is None else self._write(content)

    def forget(self, path: str) -> None:
        """Free the content of a part that another part replaces."""
        self._kept.pop(path, None)

    def _write(self, content: bytes) -> Part:
        path = self._next.path
        if not self._storage.create(path, content):
            raise LeaseLostError.of(self._storage.uri())
        self._next, self.last_path = self._next.next, path
        self._kept[path] = content
        while sum(map(len, self._kept.values())) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return Part(path, len(content))
