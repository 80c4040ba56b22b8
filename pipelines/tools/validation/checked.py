"""References that were checked: kept in parts, so that an interrupted check resumes from there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.keys.index import SortedKeys, UInt64, halves_of
from pipelines.storage.storage import Storage

CHECKED_SCHEMA = pa.schema(
    [
        ("place", pa.int64()),
        ("mark", pa.binary(16)),
        ("key", pa.binary(16)),
        ("column", pa.string()),
        ("row_id", pa.string()),
        ("shown", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("uri", pa.string()),
        ("note", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("num_bytes", pa.int64()),
        ("digest", pa.binary(16)),
        ("wish", pa.string()),
    ]
)
_ROWS_OF_A_PART = 20_000
_SECONDS_OF_A_PART = 30.0


class Checked(NamedTuple):
    """The result of the check of one reference; the columns of `CHECKED_SCHEMA`.

    Attributes:
        place: place of its first use among those of the manifest.
        mark: `Use.mark` of its first use.
        key: `Use.key`.
        column: the column of its first use.
        row_id: the row of its first use.
        shown: the reference, without credentials.
        code: the failure code; None if nothing is wrong.
        message: the message of the failure.
        uri: the URI at fault, if it is another one.
        note: a remark about its colours.
        width: width of the image in pixels; None if it was not read.
        height: height of the image in pixels.
        num_bytes: size of the file.
        digest: the first half of the file's SHA-256.
        wish: the mark with which the owner asked not to use the image for AI.
    """

    place: int
    mark: bytes
    key: bytes
    column: str
    row_id: str
    shown: str
    code: str | None = None
    message: str | None = None
    uri: str | None = None
    note: str | None = None
    width: int | None = None
    height: int | None = None
    num_bytes: int | None = None
    digest: bytes | None = None
    wish: str | None = None


class CheckedParts:
    """The results of a check, in Parquet files of a folder. Not safe to share between threads.

    Of an earlier check, only good results count: a reference that failed is checked again.

    Args:
        storage: the place of the folder.
        folder: the folder's path there. It must hold nothing else: `remove` deletes it.
        context: a name for the settings of the check. Results under other settings do not count.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        storage: Storage,
        folder: str,
        context: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._folder = folder
        self._name = f"{folder}/{context}-{uuid.uuid4().hex[:8]}"
        self._clock = clock
        self._waiting: list[Checked] = []
        self._flushed_at = clock()
        self._new: list[str] = []
        self._old = [path for path in storage.list(folder) if f"/{context}-" in f"/{path}"]
        self._recorded = self._marks()

    @property
    def num_recorded(self) -> int:
        """The number of references so far that an interrupted check has found to be good."""
        return int((self._recorded.payload >= 0).sum())

    def missing(self, marks: Sequence[bytes], first_place: int) -> list[int]:
        """Return which of the marks have no result yet, as indices; the others get their places.

        Args:
            marks: the marks of the next uses of the manifest.
            first_place: the place of the first of them.
        """
        if not marks or not len(self._recorded):
            return list(range(len(marks)))
        at = self._recorded.find(*halves_of(b"".join(marks)))
        known = np.flatnonzero(at >= 0)
        self._recorded.payload[at[known]] = first_place + known
        return np.flatnonzero(at < 0).tolist()

    def add(self, results: Sequence[Checked]) -> None:
        """Keep results; now and then, a part is written.

        Raises:
            StorageError: the part cannot be written.
        """
        self._waiting.extend(results)
        if (
            len(self._waiting) >= _ROWS_OF_A_PART
            or self._clock() - self._flushed_at > _SECONDS_OF_A_PART
        ):
            self.flush()

    def flush(self) -> None:
        """Write the results that are not in a part yet; raises as `add`."""
        self._flushed_at = self._clock()
        if not self._waiting:
            return
        columns = zip(*self._waiting, strict=True)
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(columns, CHECKED_SCHEMA, strict=True)
        ]
        stream = pa.BufferOutputStream()
        pq.write_table(pa.table(arrays, schema=CHECKED_SCHEMA), stream)
        path = f"{self._name}-{len(self._new):06}.parquet"
        self._storage.write(path, memoryview(stream.getvalue()))
        self._new.append(path)
        self._waiting = []

    def tables(self) -> Iterator[pa.Table]:
        """Yield the results of all references of the manifest, a part at a time."""
        self.flush()
        for path in self._old:
            table = _good(self._table(path))
            place = self._recorded.payload[self._recorded.find(*_halves(table["mark"]))]
            placed = table.set_column(0, CHECKED_SCHEMA.field(0), pa.array(place))
            yield placed.filter(pa.array(place >= 0))
        for path in self._new:
            yield self._table(path)

    def remove(self) -> None:
        """Delete the folder."""
        self._storage.delete_folder(self._folder)

    def _marks(self) -> SortedKeys:
        empty = np.empty(0, np.uint64)
        good = (_good(self._table(path, ["mark", "code"]))["mark"] for path in self._old)
        found = [(empty, empty), *map(_halves, good)]
        high, low = (np.concatenate(halves) for halves in zip(*found, strict=True))
        return SortedKeys.sort(high, low, np.full(len(high), -1, np.int64))

    def _table(self, path: str, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(
            pa.BufferReader(self._storage.read(path)), columns=columns, pre_buffer=False
        )


def _good(table: pa.Table) -> pa.Table:
    return table.filter(table["code"].is_null())


def _halves(marks: pa.ChunkedArray) -> tuple[UInt64, UInt64]:
    return halves_of(b"".join(marks.to_pylist()))
