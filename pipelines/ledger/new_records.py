"""Records as tables, as the ledger writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.cells import column_of
from pipelines.ledger.parts import conformed, unified_schema
from pipelines.storage.storage import Storage


def record_table(records: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return records in one chunk; a value that a record lacks is null."""
    columns = [
        column_of([record.get(field.name) for record in records], field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema).combine_chunks()


def newer_records(
    storage: Storage, records: Sequence[Mapping[str, Any] | pa.RecordBatch], schema: pa.Schema
) -> tuple[list[pa.RecordBatch], pa.Schema]:
    """Return records in batches of one schema, which has the columns of all.

    Args:
        storage: the output, for messages.
        records: records with the columns of `schema`, and batches of records with any columns.
        schema: the columns of this run.

    Raises:
        LedgerError: a column has two types.
    """
    batches = [each for each in records if isinstance(each, pa.RecordBatch)]
    of_this_run = [each for each in records if not isinstance(each, pa.RecordBatch)]
    batches += record_table(of_this_run, schema).to_batches()
    joined = unified_schema(storage, [("records", each.schema) for each in batches])
    return [conformed(each, joined) for each in batches], joined
