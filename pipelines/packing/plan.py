"""Assigns rows to shards; the records alone decide.

The number of shards is a power of two, and the first bits of the key of a row's id select its
shard. So the same records always give the same shards. A row that is generated again stays in its
shard, and a few new rows change only a few shards. Keys are hashes, so shards have similar sizes
and each shard is a random sample.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys.column import Column
from pipelines.keys.index import UInt64, halves_of, row_keys
from pipelines.packing.samples import sample_schema

_FORMAT = b"uso-batch shard 1"  # raise the number when the same records are written differently


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The shards that follow from the current records.

    Attributes:
        rows: `[shards]`, number of rows in each.
        images: `[shards]`, number of images in each.
        digests: `[shards]`, digest of each, see `digest_of`.
    """

    rows: tuple[int, ...]
    images: tuple[int, ...]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def shard_of(self, row_ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return the number of each row's shard, `[n]`."""
        return _shards(_halves(row_ids)[0], len(self))


@dataclass(slots=True)
class Planner:
    """Collects all completed rows for a plan; needs 28 bytes of memory per row."""

    schema: pa.Schema
    _high: Column = field(default_factory=lambda: Column(np.uint64))
    _low: Column = field(default_factory=lambda: Column(np.uint64))
    _made_at: Column = field(default_factory=lambda: Column(np.int64))
    _images: Column = field(default_factory=lambda: Column(np.int32))

    def add(self, records: pa.RecordBatch) -> None:
        """Add completed rows with their id, created_at and outputs."""
        high, low = _halves(records["id"])
        self._high.extend(high)
        self._low.extend(low)
        self._made_at.extend(_times(records["created_at"]))
        self._images.extend(pc.list_value_length(records["outputs"]).to_numpy())

    def plan(self, shard_images: int) -> ShardPlan:
        """Return shards of about `shard_images` images, down to half as many, for these rows."""
        high, images = self._high.values, self._images.values
        order = np.lexsort((self._low.values, high))
        high, images = high[order], images[order]
        low, made_at = self._low.values[order], self._made_at.values[order]
        count = _number_of_shards(high, int(images.sum()), shard_images)
        ends = np.searchsorted(_shards(high, count), np.arange(count), side="right")
        spans = [slice(start, end) for start, end in zip([0, *ends][:-1], ends, strict=True)]
        return ShardPlan(
            rows=tuple(int(span.stop - span.start) for span in spans),
            images=tuple(int(images[span].sum()) for span in spans),
            digests=tuple(
                _digest(self.schema, high[span], low[span], made_at[span]) for span in spans
            ),
        )


def digest_of(records: pa.Table) -> str:
    """Return a digest of the ids, the versions and the columns of a shard's completed rows.

    A record that replaces another has a different `created_at`, so equal digests mean equal shards.
    """
    high, low = _halves(records["id"])
    order = np.lexsort((low, high))
    made_at = _times(records["created_at"])[order]
    return _digest(records.schema, high[order], low[order], made_at)


def _number_of_shards(high: UInt64, images: int, shard_images: int) -> int:
    """Return a power of two for which no shard is empty; 0 without rows."""
    if not len(high):
        return 0
    count = 1
    while count * shard_images < images:
        count *= 2
    while len(np.unique(_shards(high, count))) < count:
        count //= 2
    return count


def _shards(high: UInt64, count: int) -> npt.NDArray[np.int64]:
    bits = count.bit_length() - 1
    if not bits:
        return np.zeros(len(high), np.int64)
    return (high >> np.uint64(64 - bits)).astype(np.int64)


def _digest(records: pa.Schema, high: UInt64, low: UInt64, made_at: npt.NDArray[np.int64]) -> str:
    digest = hashlib.blake2b(_FORMAT, digest_size=16)
    for column in sample_schema(records):
        digest.update(f"{column.name!r}: {column.type}\n".encode())
    for values in (high, low, made_at):
        digest.update(np.ascontiguousarray(values).astype("<u8").tobytes())
    return digest.hexdigest()


def _halves(row_ids: pa.Array | pa.ChunkedArray) -> tuple[UInt64, UInt64]:
    return halves_of(row_keys(row_ids.cast(pa.binary()).to_pylist()))


def _times(created_at: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.asarray(created_at.cast(pa.int64()).to_numpy())
