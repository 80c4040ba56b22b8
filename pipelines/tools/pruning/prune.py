"""Removes the records and images of rows that are no longer in the manifest.

Safe to interrupt at any point, and to repeat. The ids and images are first written to
`run/prune.parquet`, then the records go, then the images, then that file. So no record is ever
without its images, and pruning again finds the images that an interrupted one has left.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LeaseLostError, PruneError, StorageError
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.keys.index import SortedKeys, halves_of, row_key, row_keys
from pipelines.keys.key_set import KeySet
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.left_out import LEFT_OUT_PATH
from pipelines.ledger.records import iter_records
from pipelines.ledger.removal import OldRecord, records_of
from pipelines.manifest.manifest import Manifest
from pipelines.name_template import PICTURES, folded
from pipelines.storage.new_file import new_parquet
from pipelines.storage.storage import Storage

JOURNAL_PATH = "run/prune.parquet"

_SCHEMA = pa.schema([("id", pa.string()), ("images", pa.list_(pa.string()))])
_BATCH_ROWS = 4096
_DELETERS = 16

_Row = tuple[str, list[str]]
"""A row's id, and the paths of its images."""


@dataclass(frozen=True, slots=True, eq=False)
class Prunable:
    """The records of an output whose rows are not in the manifest.

    Attributes:
        keys: keys of their ids.
        rows: number of rows of the manifest.
        records: number of all records of the output, one per id.
        unfinished: True if an earlier pruning was interrupted, so that images may be left.
    """

    keys: SortedKeys
    rows: int
    records: int
    unfinished: bool


@dataclass(frozen=True, slots=True)
class PruneFacts:
    """Counts of records and images to remove, or removed.

    Attributes:
        records: number of records, one per id.
        images: number of image files.
    """

    records: int
    images: int


def find_prunable(
    output: Storage,
    ledger: Ledger,
    manifest: Manifest,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Prunable:
    """Read the whole manifest, and find the records of other rows; about as fast as a resume.

    Args:
        output: the output folder.
        ledger: its records.
        manifest: the manifest of now.
        on_rows: called with the number of rows read since the last call.

    Raises:
        PruneError: the manifest is a part of another one, or has no row with a record.
        ManifestError: it cannot be read.
    """
    if not manifest.is_whole:
        raise PruneError(
            "this manifest says that it has only some rows of the output (manifest.partial, or a "
            "file of uso manifest --failed or --low-scoring); give a configuration with all rows"
        )
    records = ledger.counts().records
    rows = met = 0
    for batch in manifest.batches(ledger.done_rows(retry_failed=False)):
        found = ledger.lookup([entry.row.id for entry in batch.entries])
        met += batch.num_skipped + sum(one is not None for one in found)
        rows += batch.num_skipped + len(found)
        on_rows(batch.num_skipped + len(found))
    if records and not met:
        raise PruneError(
            f"{output.uri()}: none of its {records:,} records is of a row of this manifest, which "
            f"has {rows:,} rows, so nothing is removed; give the configuration of this output, or "
            "run it first"
        )
    return Prunable(ledger.unmet(), rows, records, output.exists(JOURNAL_PATH))


def count_prunable(
    output: Storage, found: Prunable, show: Callable[[OldRecord], None] = lambda _: None
) -> PruneFacts:
    """Count what pruning would remove; changes nothing.

    Args:
        output: the output folder.
        found: see `find_prunable`.
        show: called with one record of each row.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    seen, images = KeySet(), KeySet()
    for record in records_of(output, found.keys) if len(found.keys) else ():
        if seen.add([row_key(record.row_id)])[0]:
            show(record)
        images.add([row_key(path) for path in _paths(record)])
    return PruneFacts(len(found.keys), len(images))


def prune(output: Storage, ledger: Ledger, found: Prunable, lease: Lease) -> PruneFacts:
    """Remove the records that were found, and their images.

    Args:
        output: the output folder.
        ledger: its records; its rows are forgotten.
        found: see `find_prunable`.
        lease: the lease on the output, which the caller holds.

    Raises:
        LedgerError: a part is damaged.
        LeaseLostError: the lease is lost; run the command again.
        StorageError: a file cannot be read, written or removed.
    """
    images = 0
    if len(found.keys) or found.unfinished:
        _write_journal(output, ledger, found)
    ledger.forget_rows()
    _confirm(output, lease.confirm())
    if len(found.keys):
        ledger.remove(found.keys)
        _confirm(output, lease.confirm())
    output.delete(LEFT_OUT_PATH)
    if len(found.keys) or found.unfinished:
        images = _remove_images(output, lease)
    return PruneFacts(len(found.keys), images)


def _write_journal(output: Storage, ledger: Ledger, found: Prunable) -> None:
    """List the ids and images to remove, with the leftovers of an interrupted pruning."""
    doomed = ((one.row_id, list(_paths(one))) for one in records_of(output, found.keys))
    left = _left_behind(output, ledger, found) if found.unfinished else ()
    rows = chain(doomed, left)
    with new_parquet(output, JOURNAL_PATH, _SCHEMA) as writer:
        while some := list(islice(rows, _BATCH_ROWS)):
            ids, images = zip(*some, strict=True)
            columns = [pa.array(ids, pa.string()), pa.array(images, _SCHEMA.field("images").type)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))


def _left_behind(output: Storage, ledger: Ledger, found: Prunable) -> Iterator[_Row]:
    """Yield the rows of the old list, except rows that are in the manifest and recorded again."""
    for rows in _journal(output):
        ids = [row_id for row_id, _ in rows]
        is_doomed = found.keys.find(*halves_of(row_keys(map(str.encode, ids)))) >= 0
        for row, known, doomed in zip(rows, ledger.lookup(ids), is_doomed.tolist(), strict=True):
            if known is None or doomed:
                yield row


def _remove_images(output: Storage, lease: Lease) -> int:
    """Remove the images that the journal lists, and then the journal; return their number.

    An image with a name of its own may be another row's by now, and stays.
    """
    removed = 0
    used = _used_names(output)
    for rows in _journal(output):
        listed = dict.fromkeys(path for _, paths in rows for path in paths)
        paths = [path for path in listed if folded(path) not in used]
        _confirm(output, not lease.lost)
        for _ in in_order(output.delete, paths, _DELETERS):
            pass
        removed += len(paths)
    output.delete(JOURNAL_PATH)
    return removed


def _used_names(output: Storage) -> set[str]:
    """Return those paths of the journal with names of their own that a record still has."""
    listed = (folded(path) for rows in _journal(output) for _, paths in rows for path in paths)
    named = {path for path in listed if path.startswith(f"{PICTURES}/")}
    used: set[str] = set()
    for batch in iter_records(output, ["outputs"]) if named else ():
        uris = batch["outputs"].flatten().to_pylist()
        used |= named & {folded(path) for path in map(path_in_output, uris) if path is not None}
    return used


def _journal(output: Storage) -> Iterator[Sequence[_Row]]:
    try:
        file = pq.ParquetFile(io.BytesIO(output.read(JOURNAL_PATH)))
        for batch in file.iter_batches(_BATCH_ROWS):
            yield [_row(*row) for row in zip(*batch.select(_SCHEMA.names), strict=True)]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = f"not a list of images to remove ({error}); remove it and run the command again"
        raise StorageError(output.uri(JOURNAL_PATH), reason) from error


def _row(row_id: pa.Scalar, images: pa.Scalar) -> _Row:
    """Return a row of the journal; TypeError if it is not one."""
    name, uris = row_id.as_py(), images.as_py()
    if not isinstance(name, str) or not isinstance(uris, list):
        raise TypeError("a row without an id or images")
    return name, list(filter(None, map(path_in_output, uris)))


def _paths(record: OldRecord) -> Iterable[str]:
    return filter(None, map(path_in_output, record.outputs))


def _confirm(output: Storage, is_held: bool) -> None:
    if not is_held:
        raise LeaseLostError.of(output.uri())
