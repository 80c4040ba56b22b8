"""Rows from other tables: CSV, JSON Lines, Parquet, the original's eval list, `hf://` datasets.

What a column means is found as a run finds it (`pipelines.manifest.columns`); here it is given our
name, references become absolute, and rows without an id get a readable one. Values are not checked:
that is what `uso validate` is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ComposeError
from pipelines.manifest.cells import references
from pipelines.manifest.columns import ColumnPlan, FileSurvey, plan_columns
from pipelines.manifest.files import find_files
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.parquet_reader import parquet_batches, survey_parquet
from pipelines.manifest.references import folder_url, resolve_reference
from pipelines.manifest.row_identity import STYLE_WEIGHTS
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_readers import read_text, survey_text
from pipelines.tools.compose.names import stem
from pipelines.tools.compose.pairing import Rows
from uso_core.errors import InvalidRequestError

_REFERENCES = ("content_image", "style_image", "extra_style_image", "style_images")
_ABSOLUTE = r"^(/|[A-Za-z][A-Za-z0-9+.\-]*://|(?i:data:|file:))"
# What is not simply put behind a folder: dots, queries, JSON lists.
_SPECIAL = r"(^|/)\.{1,2}(/|$)|\?|^\s*\["
_KEYED = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)


def table_rows(config: RunConfig) -> Rows:
    """The rows of the tables that `config.manifest` names; `count` is -1 where none knows.

    Raises:
        ManifestError: nothing is there, it cannot be read, or no column is usable.
        ComposeError: an input's types in two tables do not go together, or (while they are read) a
            line is no row.
    """
    files = [
        file.looked_at() for file in find_files(config.manifest, resolve_secrets(config.storage))
    ]
    surveys = [_survey(file) for file in files]
    plan = plan_columns(config, surveys)
    schema = _schema(plan, surveys)
    counts = [survey.num_rows for survey in surveys]
    count = -1 if None in counts else sum(count for count in counts if count is not None)
    return Rows(count, schema, _batches(config, files, plan, schema))


def _survey(file: ManifestFile) -> FileSurvey:
    return survey_parquet(file) if file.format == "parquet" else survey_text(file)


def _schema(plan: ColumnPlan, surveys: Sequence[FileSurvey]) -> pa.Schema:
    fields = [pa.field("id", pa.string())]
    for ours, theirs in plan.inputs.items():
        if ours == "id":
            continue
        kinds = [
            survey.schema.field(theirs).type for survey in surveys if theirs in survey.schema.names
        ]
        fields.append(_unified(ours, theirs, kinds))
    return pa.schema([*fields, *plan.extra_schema])


def _unified(ours: str, theirs: str, kinds: Sequence[pa.DataType]) -> pa.Field:
    schemas = [pa.schema([(ours, _plain(kind))]) for kind in kinds]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        held = " and ".join(dict.fromkeys(map(str, kinds)))
        raise ComposeError(
            f"column {theirs!r} is {held}, which one file cannot hold; give it one type in all "
            "tables, or make a manifest from each"
        ) from error


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without dictionaries, and one string type for all of them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _batches(
    config: RunConfig, files: Sequence[ManifestFile], plan: ColumnPlan, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    base = config.manifest.base_uri
    ids = RowIds()
    for file in files:
        folder = file.folder if base is None else base
        for raw in _raw_batches(file, plan, schema):
            columns = {name: raw.column(name) for name in raw.schema.names}
            columns["id"] = _ids(columns, ids)  # from references as written: the same anywhere
            for name in _REFERENCES:
                if name in columns:
                    columns[name] = _resolved(columns[name], folder_url(folder))
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _raw_batches(
    file: ManifestFile, plan: ColumnPlan, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The planned columns under our names in the schema's types; nulls where one is absent."""
    if file.format != "parquet":
        yield from _text_batches(file, plan, schema)
        return
    sources = {**plan.inputs, **dict(zip(plan.extra_schema.names, plan.extra_sources, strict=True))}
    for batch in parquet_batches(file, plan):
        columns = [
            _cast(file, batch, sources[field.name], field.type)
            if sources.get(field.name) in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ]
        yield pa.record_batch(columns, schema=schema)


def _cast(file: ManifestFile, batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    try:
        return batch.column(name).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ComposeError(f"{file.uri}: its column {name!r} is no {kind} ({reason})") from error


def _text_batches(
    file: ManifestFile, plan: ColumnPlan, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    inputs = [name for name in plan.inputs if name != "id"]
    for chunk in read_text(file, plan):
        rows: list[dict[str, Any]] = []
        for raw, extra in chunk:
            if isinstance(raw, UnreadableRow):
                raise ComposeError(f"{raw.where}: {raw.reason}; mend this line or take it out")
            own_id = raw.get("id")
            cells = {name: JsonTypes.fitted(raw.get(name), schema.field(name)) for name in inputs}
            rows.append({**cells, **extra, "id": None if own_id is None else str(own_id)})
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _resolved(column: pa.Array, folder: str) -> pa.Array:
    """References as absolute URIs; bytes, and structs that hold them, as they are."""
    if pa.types.is_list(column.type):
        items = _resolved(column.flatten(), folder)
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int32())
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, items, mask=mask)
    if not pa.types.is_string(column.type):
        return column
    absolute = pc.or_(pc.match_substring_regex(column, _ABSOLUTE), pc.equal(column, ""))
    found = pc.if_else(absolute, column, pc.binary_join_element_wise(folder, column, ""))
    special = pc.and_not(pc.match_substring_regex(column, _SPECIAL), absolute)
    if not pc.any(special).as_py():
        return found
    exact = [
        _resolved_text(text, folder) if is_special else text
        for text, is_special in zip(column.to_pylist(), special.to_pylist(), strict=True)
    ]
    return pc.if_else(special, pa.array(exact, pa.string()), found)


def _resolved_text(text: str, folder: str) -> str:
    """One reference, or a JSON list of them; a list that is none stays as it is."""
    if not text.lstrip().startswith("["):
        return resolve_reference(text, folder)
    try:
        found = references("style_images", text)
    except InvalidRequestError:
        return text
    return json.dumps([resolve_reference(item, folder) for item in found if isinstance(item, str)])


def _ids(columns: dict[str, pa.Array], ids: RowIds) -> pa.Array:
    """Given ids as they are; others from the content image's name and a hash of the row."""
    given = columns["id"]
    if not given.null_count:
        return given
    content = columns.get("content_image")
    if content is None or not pa.types.is_string(content.type):
        return given  # a run makes them from the row's content
    keys = _row_keys(columns)
    named = [
        f"{stem(uri)}-{key}" if own is None and uri and not uri.startswith("data:") else None
        for own, uri, key in zip(given.to_pylist(), content.to_pylist(), keys, strict=True)
    ]
    claimed = ids.claim([name for name in named if name is not None])
    ordinals = iter(claimed)
    made = [
        None
        if name is None
        else (name if (n := next(ordinals)) == 1 else ids.variant(name, "-", n))
        for name in named
    ]
    return pc.coalesce(given, pa.array(made, pa.string()))


def _row_keys(columns: dict[str, pa.Array]) -> list[str]:
    """A hash of each row's cells that are text or numbers, whatever else is in the table."""
    parts = []
    for name in sorted(columns):
        column = columns[name]
        if pa.types.is_list(column.type) and name == STYLE_WEIGHTS:
            column = column.cast(pa.list_(pa.string()))
        if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            column = pc.binary_join(column, "\n")
        if any(is_kind(column.type) for is_kind in _KEYED):
            parts.append(pc.fill_null(column.cast(pa.string()), ""))
    joined = cast("list[str]", pc.binary_join_element_wise(*parts, "\0").to_pylist())
    return [blake2b(text.encode(), digest_size=6).hexdigest() for text in joined]
