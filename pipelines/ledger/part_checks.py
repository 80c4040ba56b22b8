"""Checks that a Parquet file among the parts holds records."""

from __future__ import annotations

import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.record import ADDED_LATER, RECORD_FIELDS, RECORD_NAMES

_TYPES = {field.name: field.type for field in RECORD_FIELDS}
_NEVER_NULL = frozenset(field.name for field in RECORD_FIELDS if not field.nullable)
_SCANNED = frozenset({*_NEVER_NULL, "error", "source_digest"})


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
        LedgerError: a value is null, or text that is not UTF-8.
    """
    for name, column in zip(columns.schema.names, columns.columns, strict=True):
        if name in _NEVER_NULL and column.null_count:
            raise _foreign(uri, f"its column {name!r} has no value in some rows")
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise _foreign(uri, f"its column {name!r} is damaged: {error}") from error


def _foreign(uri: str, what: str) -> LedgerError:
    return LedgerError(uri, f"not a file of records ({what}); move it out of records/")
