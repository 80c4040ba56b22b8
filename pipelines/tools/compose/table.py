"""Rows from other tables: CSV, JSON Lines, Parquet, the original's eval list, `hf://` datasets.

Columns get their meaning as in a run (`pipelines.manifest.columns`). Here they are renamed to our
names, references become absolute, and rows without an id get a readable one. Values are not
checked; `uso validate` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.arrow_types.json_text import holds_json, texts_of
from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ComposeError
from pipelines.fields.kinds import REFERENCES
from pipelines.fields.table import FIELDS, REFERENCE_COLUMNS
from pipelines.manifest.columns import ColumnPlan, plan_columns
from pipelines.manifest.csv_blocks import read_blocks
from pipelines.manifest.csv_table import CsvTable
from pipelines.manifest.files import open_tables
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.references import folder_url
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import OversizedRow, UnreadableRow
from pipelines.manifest.table import RowBatch, SourceRow, Table
from pipelines.manifest.text_table import TextTable, chunks
from pipelines.tools.compose.given_ids import differ_as_text, id_text, ids_as_text
from pipelines.tools.compose.json_columns import json_columns
from pipelines.tools.compose.made_ids import with_made_ids
from pipelines.tools.compose.pairing import Rows
from pipelines.tools.compose.resolved import resolved
from pipelines.tools.compose.score_table import is_number

_REFERENCE_LISTS = frozenset(field.name for field in FIELDS if field.kind is REFERENCES)
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def table_rows(config: RunConfig) -> Rows:
    """Read the rows of the tables that `config.manifest` names.

    Returns:
        The rows; `count` is -1 if only reading the tables would tell.

    Raises:
        ManifestError: nothing is there, it cannot be read, or no column is usable.
        ComposeError: an input's types in two tables do not go together, or (while they are read) a
            line is not a row.
    """
    tables = open_tables(config.manifest, resolve_secrets(config.storage))
    plan = plan_columns(config, tables)
    schema = _schema(plan, tables)
    counts = [table.num_rows for table in tables]
    if not any(count is None or count for count in counts):
        raise ComposeError(f"{', '.join(table.uri for table in tables[:3])}: has no rows")
    count = -1 if None in counts else sum(count for count in counts if count is not None)
    return Rows(count, schema, _batches(config, tables, plan, schema))


def _schema(plan: ColumnPlan, tables: Sequence[Table]) -> pa.Schema:
    fields = [pa.field("id", pa.string())]
    for ours, theirs in plan.inputs.items():
        if ours == "id":
            continue
        schemas = [table.schema for table in tables]
        kinds = [schema.field(theirs).type for schema in schemas if theirs in schema.names]
        fields.append(_unified(ours, theirs, kinds))
    return pa.schema([*fields, *plan.extra_schema])


def _unified(ours: str, theirs: str, kinds: Sequence[pa.DataType]) -> pa.Field:
    schemas = [pa.schema([(ours, _plain(kind))]) for kind in kinds]
    try:
        unified = pa.unify_schemas(schemas, promote_options="permissive").field(0)
        # Arrow makes bytes of texts: the name of an image would become its content.
        if ours not in REFERENCE_COLUMNS or not _turns_texts_into_bytes(schemas, unified):
            return unified
        fault = None
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        fault = error
    held = " and ".join(dict.fromkeys(map(str, kinds)))
    raise ComposeError(
        f"column {theirs!r} is {held}, which one file cannot hold; give it one type in all "
        "tables, or make a manifest from each"
    ) from fault


def _turns_texts_into_bytes(schemas: Sequence[pa.Schema], unified: pa.Field) -> bool:
    if not pa.types.is_binary(_item(unified.type)):
        return False
    return any(pa.types.is_string(_item(schema.field(0).type)) for schema in schemas)


def _item(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_list(kind) else kind


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without dictionaries and JSON, and with one type for all strings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or isinstance(kind, pa.JsonType):
        return pa.string()
    if any(is_list(kind) for is_list in _LISTS):
        return pa.list_(_plain(kind.value_type))
    return kind


def _batches(
    config: RunConfig, tables: Sequence[Table], plan: ColumnPlan, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    base = config.manifest.base_uri
    ids = RowIds()
    for table in tables:
        folder = table.file.folder if base is None else base
        # Ids are made from numbers as they are written, so that 0.50 and 0.5 differ.
        numbers = [] if table.typed else [f for f in plan.extra_schema if is_number(f.type)]
        written = replace(plan, extra_schema=_as_text(plan.extra_schema, numbers))
        for raw in _raw_batches(table, written, _as_text(schema, numbers)):
            columns = {name: raw.column(name) for name in raw.schema.names}
            columns["id"] = with_made_ids(columns, ids)  # before references are absolute
            for field in numbers:
                columns[field.name] = _numbers(columns[field.name], field.type)
            for name in REFERENCE_COLUMNS:
                if name in columns:
                    columns[name] = resolved(
                        columns[name], folder_url(folder), json_lists=name in _REFERENCE_LISTS
                    )
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _as_text(schema: pa.Schema, numbers: Sequence[pa.Field]) -> pa.Schema:
    names = {field.name for field in numbers}
    return pa.schema([(f.name, pa.string()) if f.name in names else f for f in schema])


def _numbers(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:  # Arrow takes no spaces beside a number
        read: type = int if pa.types.is_integer(kind) else float
    return pa.array([None if text is None else read(text) for text in texts.to_pylist()], kind)


def _raw_batches(table: Table, plan: ColumnPlan, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the planned columns under our names in the schema's types; null if one is absent."""
    sources = {**plan.inputs, **dict(zip(plan.extra_schema.names, plan.extra_sources, strict=True))}
    done = 0
    if isinstance(table, CsvTable):
        for block in read_blocks(table):
            if block is None:
                return
            done += block.rows
            yield _from_columns(table.uri, block.columns, sources, schema)
    elif isinstance(table, TextTable):
        yield from _json_batches(table, plan, sources, schema)
        return
    for batch in _after(done, table.batches(plan)):
        for num_bytes, column in batch.large.values():
            raise ComposeError(
                f"{table.uri}: a row takes {num_bytes / 1e6:,.1f} MB, of which its column "
                f"{column!r} has the most; shorten it or remove it"
            )
        if batch.columns is None:
            yield _from_rows(table.uri, batch.rows(), plan, schema)
        else:
            yield _from_columns(table.uri, batch.columns, sources, schema)


def _json_batches(
    table: TextTable, plan: ColumnPlan, sources: Mapping[str, str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for lines in chunks(table.file, table.read_lines):
        found = json_columns(lines, sources, schema)
        if found is None:
            found = _from_rows(table.uri, table.planned(lines, plan), plan, schema)
        yield found


def _after(rows: int, batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
    """Yield the batches without their first rows."""
    for batch in batches:
        taken = min(rows, len(batch))
        rows -= taken
        if taken < len(batch):
            yield batch.where(np.arange(len(batch)) >= taken) if taken else batch


def _from_columns(
    uri: str, columns: pa.RecordBatch, sources: Mapping[str, str], schema: pa.Schema
) -> pa.RecordBatch:
    cast_columns = [
        (_ids_as_text if field.name == "id" else _cast)(
            uri, columns, sources[field.name], field.type
        )
        if sources.get(field.name) in columns.schema.names
        else pa.nulls(columns.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(cast_columns, schema=schema)


def _ids_as_text(uri: str, columns: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    column = columns.column(name)
    if differ_as_text(column.type):
        return ids_as_text(uri, name, column)
    return _cast(uri, columns, name, kind)


def _cast(uri: str, columns: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    column = columns.column(name)
    if column.type == kind:
        return column
    try:
        return texts_of(column, kind) if holds_json(column.type) else column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ComposeError(f"{uri}: its column {name!r} is not {kind} ({reason})") from error


def _from_rows(
    uri: str, rows: Sequence[SourceRow], plan: ColumnPlan, schema: pa.Schema
) -> pa.RecordBatch:
    inputs = [name for name in plan.inputs if name != "id"]
    fitted: list[dict[str, Any]] = []
    for raw, extra in rows:
        if isinstance(raw, UnreadableRow):
            raise ComposeError(f"{raw.where}: {raw.reason}; correct this line or remove it")
        assert not isinstance(raw, OversizedRow)  # only tables with columns have one
        own_id = raw.get("id")
        cells = {name: JsonTypes.fitted(raw.get(name), schema.field(name)) for name in inputs}
        given = id_text(uri, plan.inputs.get("id", "id"), own_id)
        fitted.append({**cells, **extra, "id": given})
    return pa.RecordBatch.from_pylist(fitted, schema=schema)
