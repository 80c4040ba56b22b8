"""The records that do not count, because their rows are no longer in the manifest.

A run that has read its whole manifest lists them in `run/left-out.parquet`, by id. Whoever reads
the records leaves them out. They stay on disk, so that a row that comes back into the manifest
counts again without being generated, until `uso prune` removes them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LedgerError, StorageError
from pipelines.keys.column import Column
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.storage.storage import Storage

LEFT_OUT_PATH = "run/left-out.parquet"

_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False)])
_MARK = b"uso-batch.left_out"
_BATCH_ROWS = 8192
_NO_PAYLOAD = np.dtype([])


@dataclass(frozen=True, slots=True)
class ManifestLook:
    """The pass over a manifest after which records were left out.

    Attributes:
        manifest: the paths of the manifest, without credentials.
        run_id: the run that read it.
        read_at: the time at which that run had read it, ISO 8601 in UTC.
    """

    manifest: str
    run_id: str
    read_at: str


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """The ids of records that do not count; 24 bytes each.

    Attributes:
        keys: keys of the ids.
        hashes: quick hashes of the ids, in any order.
        until_us: time of the latest record that was looked at, in microseconds since the epoch; a
            later record of one of the ids counts.
        look: the pass over the manifest; None: nothing is left out.
    """

    keys: SortedKeys
    until_us: int = 0
    look: ManifestLook | None = None
    hashes: UInt64 = field(default_factory=lambda: np.empty(0, np.uint64))

    def __len__(self) -> int:
        return len(self.keys)

    def mask_of(self, records: SortedKeys, is_old: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return True for each record that does not count, `[n]`.

        Args:
            records: keys of the records.
            is_old: `[n]`, True for a record that is not later than `until_us`.
        """
        mask = np.zeros(len(records), bool)
        if len(self):
            # The other way round would look up every record.
            at = records.find(self.keys.high, self.keys.low)
            at = at[at >= 0]
            mask[at] = is_old[at]
        return mask


def no_keys() -> SortedKeys:
    """Return an empty set of keys."""
    return SortedKeys(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, _NO_PAYLOAD))


def read_left_out(storage: Storage) -> LeftOut:
    """Read which records of an output do not count.

    Raises:
        LedgerError: the list is damaged.
        StorageError: it cannot be read.
    """
    content = _content(storage)
    if content is None:
        return LeftOut(no_keys())
    high, low, hashes = Column(np.uint64), Column(np.uint64), Column(np.uint64)
    with _readable(storage):
        file = pq.ParquetFile(io.BytesIO(content))
        facts = json.loads(file.schema_arrow.metadata[_MARK])
        until_us = int(facts.pop("until_us"))
        look = ManifestLook(**facts)
        for ids in _ids(file):
            firsts, seconds = halves_of(row_keys(ids.cast(pa.binary()).to_pylist()))
            high.extend(firsts)
            low.extend(seconds)
            hashes.extend(quick_hashes(ids))
    nothing = np.empty(len(high.values), _NO_PAYLOAD)
    keys = SortedKeys.sort(high.values, low.values, nothing)
    return LeftOut(keys, until_us, look, hashes.values)


def write_left_out(
    storage: Storage, ids: Iterator[pa.Array], until_us: int, look: ManifestLook
) -> None:
    """Replace the list.

    Args:
        storage: the output folder.
        ids: the ids, each once, in arrays of strings.
        until_us: see `LeftOut`.
        look: see `LeftOut`.

    Raises:
        StorageError: it cannot be written; the old list is still there.
    """
    facts = json.dumps({**asdict(look), "until_us": until_us})
    schema = _SCHEMA.with_metadata({_MARK: facts.encode()})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for some in ids:
            writer.write_batch(pa.RecordBatch.from_arrays([some], schema=schema))
    storage.write(LEFT_OUT_PATH, sink.getvalue())


def listed_ids(storage: Storage) -> Iterator[pa.Array]:
    """Yield the ids of the list, in arrays of strings; none if there is no list.

    Raises:
        LedgerError: the list is damaged.
        StorageError: it cannot be read.
    """
    content = _content(storage)
    if content is not None:
        with _readable(storage):
            yield from _ids(pq.ParquetFile(io.BytesIO(content)))


def _ids(file: pq.ParquetFile) -> Iterator[pa.Array]:
    for batch in file.iter_batches(_BATCH_ROWS, columns=["id"], use_threads=False):
        yield batch["id"]


def _content(storage: Storage) -> bytes | None:
    # Listed first: the traceback of a missing file would keep the caller's memory alive.
    if LEFT_OUT_PATH not in storage.sizes("run"):
        return None
    try:
        return storage.read(LEFT_OUT_PATH)
    except StorageError as error:
        if error.fault == "not_found":  # removed in between
            return None
        raise


@contextmanager
def _readable(storage: Storage) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        cause = (str(error) or type(error).__name__).splitlines()[0]
        reason = (
            f"not a list of records that do not count ({cause}); remove it: the next run of the "
            "whole manifest writes it again"
        )
        raise LedgerError(storage.uri(LEFT_OUT_PATH), reason) from error
