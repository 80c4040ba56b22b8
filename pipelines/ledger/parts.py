"""The ledger's parts: immutable Parquet files in `records/`, each written in one operation."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.arrow_types.stored import recorded_schema
from pipelines.errors import LedgerError, StorageError
from pipelines.image_values import is_of_run, is_per_image, joined_column, without_other_metadata
from pipelines.ledger.part_checks import check_columns, check_lists
from pipelines.parquet_batches import bounded_slices
from pipelines.record import RECORD_FIELDS, from_text, is_from_text
from pipelines.storage.parquet_file import open_parquet
from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.storage import Storage

T = TypeVar("T")

FOLDER = "records"
_ATTEMPTS = 5
# Named by a hash: the parts of older versions. See `part_names` for the others.
_PART_NAME = re.compile(r"part-([0-9a-f]{32}|r\d{6}-\d{8}-[0-9a-f]{8})\.parquet")
_WHOLE_BYTES = 8 * 2**20  # parts up to this size are read in one request,
_WHOLE_LOCAL_BYTES = 64 * 2**10  # which saves a round trip, but reads columns that nobody needs
_COMPRESSION = "zstd"
_SHORT_COLUMNS = frozenset(
    {"id", "status", "sha256", "fingerprint", "source_digest", "created_at", "run_id", "attempt"}
)
"""Columns whose values are short in every record."""


class PartVanishedError(Exception):
    """A listed part is gone because another process has compacted; list again."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of records.

    Attributes:
        path: path relative to the output.
        num_bytes: its size.
    """

    path: str
    num_bytes: int


def unless_vanished(storage: Storage, read: Callable[[], T]) -> T:
    """Return the result of `read`, which is called again if a part vanishes meanwhile.

    Raises:
        LedgerError: parts vanish each time.
    """
    again = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        retry=retry_if_exception_type(PartVanishedError),
        reraise=True,
    )
    try:
        return again(read)
    except PartVanishedError as error:
        reason = "this part vanished while it was read; do not remove records during a run"
        raise LedgerError(storage.uri(str(error)), reason) from error


def list_parts(storage: Storage) -> list[Part]:
    """List all parts, sorted by name.

    Raises:
        LedgerError: `records/` holds a foreign file.
    """
    parts = []
    for path, num_bytes in storage.sizes(FOLDER).items():
        name = path.removeprefix(f"{FOLDER}/")
        if name.startswith("."):
            continue
        if not _PART_NAME.fullmatch(name):
            reason = f"not a file of records; move it out of {FOLDER}/"
            raise LedgerError(storage.uri(path), reason)
        parts.append(Part(path, num_bytes))
    return parts


def open_part(storage: Storage, part: Part) -> pq.ParquetFile:
    """Open a part, read its footer and check its columns.

    Raises:
        LedgerError: it is not a complete Parquet file of records.
        PartVanishedError: it no longer exists.
    """
    return _opened(storage, part)[0]


def _opened(storage: Storage, part: Part) -> tuple[pq.ParquetFile, io.BytesIO | RangedFile]:
    """Return the part as `open_part` does, and its content for other readers."""
    whole_bytes = _WHOLE_LOCAL_BYTES if storage.is_local else _WHOLE_BYTES
    with readable(storage, part):
        source: io.BytesIO | RangedFile = (
            io.BytesIO(storage.read(part.path))
            if part.num_bytes <= whole_bytes
            else storage.open(part.path, part.num_bytes)
        )
        ranged = isinstance(source, RangedFile)  # Arrow's threads then wait for many at once
        file = open_parquet(source, pre_buffer=ranged, page_checksum_verification=True)
    check_columns(storage.uri(part.path), file.schema_arrow)
    return file, source


@contextmanager
def readable(storage: Storage, part: Part) -> Iterator[None]:
    """Limit the errors of reading the part inside to `open_part`'s and `StorageError`."""
    try:
        yield
    except StorageError as error:
        if error.fault == "not_found":
            raise PartVanishedError(part.path) from error
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        cause = str(error).splitlines()[0]
        reason = (
            f"not a complete Parquet file ({cause}); restore it, or move it out of {FOLDER}/: its "
            "rows are then generated again, under the same image names"
        )
        raise LedgerError(storage.uri(part.path), reason) from error


def kept_batches(
    storage: Storage,
    part: Part,
    keep: npt.NDArray[np.bool_],
    columns: Sequence[str] | None,
    batch_rows: int,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one part that `keep` selects, in batches of up to `batch_rows`.

    Args:
        storage: storage of the part.
        part: the part to read.
        keep: `[n]`, a mask over all its rows.
        columns: columns to read, in any order; columns that the part lacks are omitted.
        batch_rows: maximum rows per batch.
    """
    file, source = _opened(storage, part)
    present = file.schema_arrow.names
    # The id is always read: a batch without columns would have no number of rows.
    wanted = present if columns is None else [n for n in present if n in {"id", *columns}]
    batches = (
        file.iter_batches(batch_rows, columns=wanted, use_threads=False)
        if _SHORT_COLUMNS.issuperset(wanted)
        else _bounded(file, source, wanted, batch_rows)
    )
    start = 0
    while True:
        with readable(storage, part):
            batch = next(batches, None)
        if batch is None:
            break
        check_lists(storage.uri(part.path), batch)
        end = start + batch.num_rows
        kept = keep[start:end]
        yield batch if kept.all() else batch.filter(pa.array(kept))
        start = end


def _bounded(
    file: pq.ParquetFile, source: io.BytesIO | RangedFile, columns: Sequence[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield batches of bounded size: a user's own column may repeat a long value."""
    for part in bounded_slices(
        file, cast(BinaryIO, source), columns, most_rows=batch_rows, use_threads=False
    ):
        yield part.rows


def encoded(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> bytes:
    """Return the content of a part with these records."""
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink, schema, compression=_COMPRESSION, write_page_checksum=True
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()  # not getbuffer(), with which Python 3.12.1 can crash


def unified_schema(storage: Storage, schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return one schema with the columns of all: the fixed columns come first.

    A column of numbers that were found in text is text if it is text elsewhere, and
    floating-point numbers if there are any.

    Args:
        storage: storage of the parts, for messages.
        schemas: the schemas, each with a description of its origin.

    Raises:
        LedgerError: a column has two types.
    """
    origin: dict[str, str] = {}
    unified: dict[str, pa.Field] = {f.name: f for f in RECORD_FIELDS}
    for where, schema in schemas:
        for f in recorded_schema(schema):
            known = unified.setdefault(f.name, f)
            if pa.types.is_null(known.type) and not pa.types.is_null(f.type):
                unified[f.name] = f
            elif f.type.equals(known.type) or pa.types.is_null(f.type):
                pass
            elif (joined := _joined(known, f)) is not None:
                unified[f.name] = joined
            else:
                raise LedgerError(
                    storage.uri(FOLDER),
                    f"the column {f.name!r} is {known.type} in "
                    f"{origin.get(f.name, 'this version')} and {f.type} in {where}; "
                    f"{_remedy(known, f)}, or use another output folder",
                )
            origin.setdefault(f.name, where)
    return pa.schema([_with_marks(f) for f in unified.values()])


def _with_marks(field: pa.Field) -> pa.Field:
    """Return a column with nothing in its metadata but our own marks."""
    return from_text(field) if is_from_text(field) else without_other_metadata(field)


def _joined(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """Return a column for the values of both, or None if their types have to be the same."""
    if is_of_run(one) and is_of_run(other):
        return joined_column(one, other)
    if not (is_from_text(one) or is_from_text(other)):
        return None
    kinds = {str(one.type), str(other.type)}
    if kinds == {"int64", "double"}:
        return from_text(pa.field(one.name, pa.float64()))
    return pa.field(one.name, pa.string()) if kinds < {"int64", "double", "string"} else None


def _remedy(*fields: pa.Field) -> str:
    if any(map(is_per_image, fields)):
        return "switch off the plug-in that computes it"
    return "give the manifest's column the same type again"


def conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with the columns of `schema`; columns that it lacks are null.

    Raises:
        LedgerError: a column has integers that its floating-point numbers cannot hold.
    """
    present = set(batch.schema.names)
    columns = []
    for f in schema:
        if f.name not in present:
            columns.append(pa.nulls(batch.num_rows, f.type))
            continue
        try:
            columns.append(_cast(batch.column(f.name), f.type))
        except pa.ArrowInvalid as error:
            reason = (
                f"the column {f.name!r} has integers that {f.type} cannot hold ({error}); set "
                "manifest.csv_numbers: false, or use another output folder"
            )
            raise LedgerError(FOLDER, reason) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    # Arrow's cast of lists of nulls, even to their own type, is wrong.
    return column if column.type == kind else column.cast(kind)
