"""Sorts the user's columns into inputs and columns that go to the records unchanged."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.arrow_types.cells import column_of
from pipelines.arrow_types.stored import stored_type, why_not_stored
from pipelines.config.inputs import ManifestConfig
from pipelines.config.schema import RunConfig
from pipelines.display import display_value
from pipelines.errors import ManifestError
from pipelines.fields.table import ALIASES, INPUT_NAMES, PICTURE_NAMES, STYLE
from pipelines.manifest.given_rights import RIGHTS_COLUMNS
from pipelines.manifest.own_columns import own_digests
from pipelines.record import RECORD_NAMES, from_text, is_from_text

logger = logging.getLogger(__name__)

_PREFIX = "manifest_"
_NO_NAMES = "CSV has names in its first line, JSON Lines has one object {...} per line"


class HasColumns(Protocol):
    """A table, for the choice of columns; see `pipelines.manifest.table.Table`."""

    @property
    def uri(self) -> str:
        """The table's URI for messages."""

    @property
    def schema(self) -> pa.Schema:
        """All columns."""


@dataclass(frozen=True)
class ColumnPlan:
    """The use of the columns of all files. A file may lack some of them.

    Attributes:
        inputs: the user's name of each input column, by our name.
        extra_schema: the pass-through columns, with their names in the records.
        extra_sources: the user's names of the pass-through columns, in the same order.
    """

    inputs: Mapping[str, str]
    extra_schema: pa.Schema
    extra_sources: tuple[str, ...]

    def own_digests(self, columns: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Return the digests of the pass-through columns of a batch, `[n]`; see `own_digests`."""
        # Asking the schema for a name costs time in proportion to its columns.
        present = {name: index for index, name in enumerate(columns.schema.names)}
        own = {
            field.name: _as_recorded(columns.column(present[source]), field.type)
            if source in present
            else pa.nulls(len(columns))
            for source, field in zip(self.extra_sources, self.extra_schema, strict=True)
        }
        return own_digests(own, len(columns))

    def own_digests_of_cells(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the digests of pass-through cells, by their names in the records."""
        own = {
            field.name: _whole(column_of([row[field.name] for row in rows], field.type))
            for field in self.extra_schema
        }
        digests: list[int] = own_digests(own, len(rows)).tolist()
        return digests


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _as_recorded(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # an error once the row is read
        return column


def plan_columns(config: RunConfig, tables: Sequence[HasColumns]) -> ColumnPlan:
    """Plan the use of the columns of all files.

    Raises:
        ManifestError: no column is usable, a mapping names a column that does not exist, or a
            column has incompatible types in two files.
    """
    for table in tables:
        _check_unique(table)
    names = list(dict.fromkeys(name for table in tables for name in table.schema.names))
    ours = input_names(config.manifest)
    inputs = _mapped(config.manifest.columns, names, ours)
    _match_by_name(inputs, names, ours)
    pictures = [name for name in PICTURE_NAMES if name in ours]
    defaults = {name for name in pictures if getattr(config.defaults, name) is not None}
    if not defaults.union(inputs).intersection(pictures):
        held = _listed(names) if names else f"none ({_NO_NAMES})"
        raise ManifestError(
            tables[0].uri,
            f"no usable column: it needs one of {_listed(pictures)}, and has {held}; name "
            "yours in manifest.columns, e.g. {prompt: YOUR_COLUMN}",
        )
    used = frozenset(inputs.values())
    _warn_of_similar_names(names, inputs, ours)
    sources = _passed_through(config, [name for name in names if name not in used])
    taken = set(names) | RECORD_NAMES
    _check_storable([*sources, *inputs.values()], tables)
    fields = [_unified(name, tables).with_name(_record_name(name, taken)) for name in sources]
    return ColumnPlan(inputs, pa.schema(fields), tuple(sources))


def _warn_of_similar_names(
    names: Iterable[str], inputs: Mapping[str, str], accepted: Sequence[str]
) -> None:
    """Tell of columns such as `Prompt` and `style image`, which are copied but not used."""
    by_name = {name: name for name in accepted} | ALIASES
    for name in names:
        ours = by_name.get(re.sub(r"[\s_-]+", "_", name.strip().lower()))
        if ours is not None and ours not in inputs and name not in inputs.values():
            logger.warning(
                "column_not_used column=%s; to use it, set manifest.columns: {%s: %s}",
                display_value(name),
                ours,
                display_value(name),
            )


def input_names(config: ManifestConfig) -> tuple[str, ...]:
    """Return our names of the inputs; without a library of styles, `style` is not one."""
    if config.style_library is not None:
        return INPUT_NAMES
    return tuple(name for name in INPUT_NAMES if name != STYLE.name)


def input_columns(config: ManifestConfig) -> dict[str, str]:
    """Return our names of the inputs by the names that they may have in a table."""
    mapped = {theirs: ALIASES.get(ours, ours) for ours, theirs in config.columns.items()}
    taken = frozenset(mapped.values())
    by_name = {name: name for name in input_names(config)} | ALIASES
    return mapped | {
        theirs: ours
        for theirs, ours in by_name.items()
        if ours not in taken and theirs not in mapped
    }


def _check_unique(table: HasColumns) -> None:
    names = table.schema.names
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        if not repeated:
            raise ManifestError(
                table.uri, "has several columns without a name; name them, or remove them"
            )
        raise ManifestError(table.uri, f"has two columns named {repeated!r}; rename one")


def _check_storable(names: Sequence[str], tables: Sequence[HasColumns]) -> None:
    """Refuse columns that are used and that no record, or not even Arrow, can hold."""
    for table in tables:
        used = frozenset(names)
        for name, field in zip(table.schema.names, table.schema, strict=True):
            if name not in used:
                continue
            reason = why_not_stored(field)
            if reason is not None:
                raise ManifestError(
                    table.uri,
                    f"its column {name!r} cannot be recorded: {reason}; give it another type, or "
                    "leave it out of manifest.keep_columns",
                )


def _mapped(
    columns: Mapping[str, str], names: Sequence[str], accepted: Sequence[str]
) -> dict[str, str]:
    inputs: dict[str, str] = {}
    for ours, theirs in columns.items():
        where = f"manifest.columns.{ours}"
        name = ALIASES.get(ours, ours)
        if name == STYLE.name and name not in accepted:
            raise ManifestError(where, "needs manifest.style_library, which names the library")
        if name not in accepted:
            raise ManifestError(where, f"is not an input; {_nearest(ours, (*accepted, *ALIASES))}")
        if name in inputs:
            raise ManifestError(where, f"means the same as {name}; give one of them")
        if theirs not in names:
            raise ManifestError(where, f"there is no column {theirs!r}; {_nearest(theirs, names)}")
        inputs[name] = theirs
    return inputs


def _match_by_name(inputs: dict[str, str], names: Sequence[str], accepted: Sequence[str]) -> None:
    mapped, taken = frozenset(inputs), frozenset(inputs.values())
    free = [name for name in names if name not in taken]
    inputs.update({name: name for name in accepted if name in free and name not in mapped})
    for alias, name in ALIASES.items():
        if alias not in free or name in mapped:
            continue
        if name in inputs:
            raise ManifestError(
                f"manifest.columns.{name}",
                f"the manifest has {name} and {alias}, which mean the same; say which one to use, "
                f"e.g. {{{name}: {alias}}}",
            )
        inputs[name] = alias


def _passed_through(config: RunConfig, unused: Sequence[str]) -> list[str]:
    wanted = config.manifest.keep_columns
    if isinstance(wanted, str):
        return [name for name in unused if wanted == "all" or name in RIGHTS_COLUMNS]
    free, kept = frozenset(unused), frozenset(wanted)
    for name in wanted:
        if name not in free:
            raise ManifestError(
                "manifest.keep_columns",
                f"there is no column {name!r} that is not an input; {_nearest(name, unused)}",
            )
    return [name for name in unused if name in kept or name in RIGHTS_COLUMNS]


def _record_name(name: str, taken: set[str]) -> str:
    """Return `name`, with `manifest_` before it if records have a column of that name."""
    if name not in RECORD_NAMES:
        return name
    found = _PREFIX + name
    while found in taken:
        found = _PREFIX + found
    taken.add(found)
    return found


def _unified(name: str, tables: Sequence[HasColumns]) -> pa.Field:
    """Return the column with the one type that holds its values of all files."""
    first_with: dict[pa.DataType, str] = {}
    may_differ = False
    for table in tables:
        index = table.schema.get_field_index(name)
        if index >= 0:
            field = table.schema.field(index)
            first_with.setdefault(field.type, table.uri)
            may_differ = may_differ or is_from_text(field)
    (unified, first_uri), *others = first_with.items()
    for kind, uri in others:
        schemas = [pa.schema([(name, unified)]), pa.schema([(name, kind)])]
        try:
            unified = pa.unify_schemas(schemas, promote_options="permissive").field(name).type
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ManifestError(
                uri,
                f"its column {name!r} is {kind}, but {unified} in {first_uri}; give it one type in "
                "all files, or leave it out of manifest.keep_columns",
            ) from error
    column = pa.field(name, stored_type(unified))
    return from_text(column) if may_differ else column


def _nearest(name: str, candidates: Iterable[str]) -> str:
    candidates = list(candidates)
    close = get_close_matches(name, candidates, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {_listed(candidates)}"


def _listed(names: Sequence[str]) -> str:
    most = 20
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
