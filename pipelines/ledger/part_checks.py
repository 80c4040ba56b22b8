"""Checks that a Parquet file among the parts holds records."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import LedgerError
from pipelines.image_values import is_per_image
from pipelines.record import ADDED_LATER, IMAGE_BYTES, NSFW_CONTENTS, RECORD_FIELDS, RECORD_NAMES

_TYPES = {field.name: field.type for field in RECORD_FIELDS}
_NEVER_NULL = frozenset(field.name for field in RECORD_FIELDS if not field.nullable)
_SCANNED = frozenset({*_NEVER_NULL, "error", "source_digest"})
_FULL_LISTS = frozenset({"outputs", "sha256", "style_images"})
_PER_IMAGE = frozenset({"sha256", IMAGE_BYTES, NSFW_CONTENTS})
# Python's times end with the year 9999, and a later record needs a later time.
_TIMES = (datetime.min, datetime(9999, 1, 1))  # noqa: DTZ001, DTZ901
_FIRST_TIME, _LAST_TIME = (time.replace(tzinfo=timezone.utc) for time in _TIMES)


def check_columns(uri: str, schema: pa.Schema) -> None:
    """Check the names and types of a part's columns.

    Raises:
        LedgerError: it lacks one of our columns, has one of another type, or has one twice.
    """
    missing = RECORD_NAMES - ADDED_LATER - set(schema.names)
    if missing:
        raise _foreign(uri, f"it lacks {', '.join(sorted(missing))}")
    twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise _foreign(uri, f"it has two columns named {twice!r}")
    for field in schema:
        wanted = _TYPES.get(field.name, field.type)
        empty = pa.types.is_null(field.type) and field.name not in _SCANNED
        if field.type != wanted and not empty:
            raise _foreign(uri, f"its column {field.name!r} is {field.type}, not {wanted}")


def check_values(uri: str, columns: pa.RecordBatch) -> None:
    """Check the values of some columns of a part that no record lacks.

    Raises:
        LedgerError: a value is null, text that is not UTF-8, or a time that no record has.
    """
    for name, column in zip(columns.schema.names, columns.columns, strict=True):
        if name in _NEVER_NULL and column.null_count:
            raise _foreign(uri, f"its column {name!r} has no value in some rows")
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise _foreign(uri, f"its column {name!r} is damaged: {error}") from error
        if name == "created_at" and not _are_times(column):
            raise _foreign(uri, f"its column {name!r} has times that no record has")


def check_lists(uri: str, records: pa.RecordBatch) -> None:
    """Check the lists of records: no empty items, and one value per image.

    Args:
        uri: the part.
        records: some of its columns.

    Raises:
        LedgerError: a list lacks an item, or has another number of items than the row has images.
    """
    present = records.schema.names
    for name in _FULL_LISTS.intersection(present):
        column = records[name]
        if not pa.types.is_null(column.type) and column.flatten().null_count:
            raise _foreign(uri, f"its column {name!r} has lists with empty items")
    if "outputs" in present:
        _check_counts(uri, records)


def _check_counts(uri: str, records: pa.RecordBatch) -> None:
    images = _lengths(records["outputs"])
    if "status" in records.schema.names:
        is_completed = pc.equal(records["status"], "completed")
        if pc.any(pc.and_(is_completed, images.is_null())).as_py():
            raise _foreign(uri, "its column 'outputs' has no value in some completed rows")
    for field in records.schema:
        if field.name in _PER_IMAGE or is_per_image(field):
            values, wanted = _lengths(records[field.name]), images.fill_null(0)
            if field.name == "sha256":  # the others may be unknown
                values = values.fill_null(0)
            elif field.name != IMAGE_BYTES:  # a row whose images were withheld has their scores
                wanted = images
            if pc.any(pc.not_equal(values, wanted)).as_py():
                raise _foreign(uri, f"its column {field.name!r} has not one value per image")


def _lengths(lists: pa.Array) -> pa.Array:
    """Return the number of items of each list, `[n]`; null for null."""
    if pa.types.is_null(lists.type):
        return pa.nulls(len(lists), pa.int32())
    return pc.list_value_length(lists).cast(pa.int32())


def _are_times(column: pa.Array) -> bool:
    first, last = (pa.scalar(time, column.type) for time in (_FIRST_TIME, _LAST_TIME))
    outside = pc.or_(pc.less(column, first), pc.greater(column, last))
    return not pc.any(outside).as_py()


def _foreign(uri: str, what: str) -> LedgerError:
    return LedgerError(uri, f"not a file of records ({what}); move it out of records/")
