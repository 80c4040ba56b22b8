"""Opens Parquet files so that their columns have types that every later step works with.

Beside the columns, a file written through Arrow holds their Arrow types, and a reader restores
them. Arrow then fails on some of them: it reads dictionaries inside lists from one row group only,
cannot select from views, and opens no file with 128-bit integers, which polars writes. Here the
types beside the columns are exchanged for `stored_type`s before the columns are read. A file
without such types is opened as usual.
"""

from __future__ import annotations

import base64
import io
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow_types.stored import refused, stored_schema
from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.wide_integers import without_wide_integers

Source = BinaryIO | io.BytesIO | RangedFile
"""A file to read, seekable."""

_KEY = b"ARROW:schema"
_NO_KEY = b"ARROW:hidden"  # of the same length
_MAGIC = b"PAR1"
_WIDE = "Arrow has no integers of 128 bits; store them with 64 bits, as decimals or as text"


def open_parquet(source: Source, **options: Any) -> pq.ParquetFile:  # noqa: ANN401
    """Open a Parquet file; its columns have their `stored_type`.

    Args:
        source: the file, seekable.
        options: options of `pyarrow.parquet.ParquetFile`.

    Raises:
        pa.ArrowException, OSError, UnicodeDecodeError: it is damaged, or no Parquet file.
    """
    try:
        file = pq.ParquetFile(source, **options)
    except pa.ArrowNotImplementedError:
        return pq.ParquetFile(source, metadata=_changed(source), **options)
    if stored_schema(file.schema_arrow).equals(file.schema_arrow):
        return file
    return pq.ParquetFile(source, metadata=_changed(source), **options)


def _changed(source: Source) -> pq.FileMetaData:
    """Return the file's metadata with other Arrow types; its bytes are otherwise the same."""
    footer = _footer(source)
    # Under another name, because Arrow reads the types even where it is asked for texts only.
    named_otherwise = _metadata(footer.replace(_KEY, _NO_KEY)).metadata or {}
    old = named_otherwise.get(_NO_KEY, b"")
    new = base64.b64encode(_stored(base64.b64decode(old)))
    # Thrift writes the length of a text before it.
    was, becomes = _length(len(old)) + old, _length(len(new)) + new
    if not old or footer.count(was) != 1:
        raise pa.ArrowInvalid("its Arrow types cannot be read")
    return _metadata(footer.replace(was, becomes))


def _footer(source: Source) -> bytes:
    end = source.seek(0, io.SEEK_END)
    source.seek(end - 8)
    num_bytes = int.from_bytes(source.read(4), "little")
    source.seek(max(end - 8 - num_bytes, 0))
    return source.read(num_bytes)


def _metadata(footer: bytes) -> pq.FileMetaData:
    length = len(footer).to_bytes(4, "little")
    return pq.read_metadata(io.BytesIO(b"".join([_MAGIC, footer, length, _MAGIC])))


def _stored(message: bytes) -> bytes:
    try:
        readable, wide = without_wide_integers(message)
    except (ValueError, IndexError, RecursionError) as error:
        raise pa.ArrowInvalid("its Arrow types are damaged") from error
    schema = pa.ipc.read_schema(pa.py_buffer(readable))
    for place in wide:
        schema = schema.set(place, refused(schema.field(place), _WIDE))
    return stored_schema(schema).serialize().to_pybytes()  # type: ignore[no-any-return]


def _length(number: int) -> bytes:
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
