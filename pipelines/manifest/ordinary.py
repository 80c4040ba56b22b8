"""Finds the rows of a batch that are certainly valid, in whole columns.

A pass that only counts rows (`uso validate`, `uso plan`) spends 1 to 2 µs on such a row, where
`RowParser` takes 20. The parser stays the truth: any row that is odd in any way, and any column or
type that is not known here, goes to it. A row may be called odd that is valid, but no row that the
parser would reject is ordinary; a property-based test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.schema import RunConfig
from pipelines.fields.cells import MAX_ID_LENGTH
from pipelines.fields.table import STYLE_COLUMNS
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.ordinary_numbers import Numbers, OrdinaryNumbers
from pipelines.manifest.reference_columns import Flags, is_plain_reference, resolved_column
from pipelines.rows import ManifestRow
from uso_core.loading.source import ModelCard
from uso_core.request import MAX_PROMPT_CHARACTERS, Parameters

_KINDS = ("width", "height", "num_steps", "keep_size", "content_long_size", "num_images")
_LISTED = "style_images"
_KNOWN = frozenset({"id", "prompt", "content_image", "style_weights", *STYLE_COLUMNS})


@dataclass(frozen=True, slots=True)
class OrdinaryRows:
    """Valid rows, with every default filled in.

    Attributes:
        prompts: the prompts, `[n]`.
        contents: the content images, `[n]`, absolute; null for a row without one.
        styles: the style images of all rows, one after another, absolute.
        style_counts: the number of styles of each row, `[n]`.
        numbers: the parameters by name, `[n]` each; a width or height of 0 is inferred.
    """

    prompts: pa.Array
    contents: pa.Array
    styles: pa.Array
    style_counts: npt.NDArray[np.int64]
    numbers: Mapping[str, Numbers]

    def __len__(self) -> int:
        """Return n."""
        return len(self.prompts)

    def kinds(self) -> Iterator[tuple[ManifestRow, int]]:
        """Yield one row of each size of work, and the number of such rows.

        The row has the numbers and the number of images of its kind, and nothing else of a row.
        """
        columns = {name: self.numbers[name] for name in _KINDS}
        columns["styles"] = self.style_counts
        columns["contents"] = self.contents.is_valid().to_numpy(zero_copy_only=False)
        counted = pa.table(columns).group_by([*columns]).aggregate([([], "count_all")])
        for kind in counted.to_pylist():
            rows, styles = kind.pop("count_all"), kind.pop("styles")
            content = "content" if kind.pop("contents") else None
            kind.update({side: kind[side] or None for side in ("width", "height")})
            styles = ("style",) * styles
            yield ManifestRow("", "", content, styles, Parameters(**kind), ""), rows


class OrdinaryRowFinder:
    """Finds and reads ordinary rows.

    Args:
        config: the configuration of the run, whose defaults are valid.
        model: the model, with its limits.
        plan: the use of the columns.
    """

    def __init__(self, config: RunConfig, model: ModelCard, plan: ColumnPlan) -> None:
        self._inputs = plan.inputs
        self._defaults = config.defaults
        self._limits = model.limits
        self._numbers = OrdinaryNumbers(config, model)
        self._odd_names = set(plan.inputs) - _KNOWN - self._numbers.names
        output = config.output
        # Such a setting may reject any row.
        self._never = output.name is not None or config.defaults.style is not None
        self._never |= output.provenance.training_mining_column is not None
        # An id that is made ignores weights of 1, though they may be wrong: a row that is rejected
        # for them has the id of a valid one, if that comes first.
        self._never |= "style_weights" in plan.inputs and "id" not in plan.inputs

    def mask(self, batch: pa.RecordBatch) -> Flags:
        """Return True for each ordinary row, `[n]`.

        Args:
            batch: the planned columns, under the user's names.
        """
        columns = self._columns(batch)
        if self._never or columns is None:
            return np.zeros(len(batch), bool)
        found = self._numbers.mask(columns, len(batch))
        for name in self._odd_names & columns.keys():
            found &= columns[name].is_null().to_numpy(zero_copy_only=False)
        if "id" in columns:
            found &= ordinary_ids(columns["id"])
        if "prompt" in columns:
            length = pc.utf8_length(columns["prompt"])
            found &= _flags(pc.less_equal(length, MAX_PROMPT_CHARACTERS))
        for name in ("content_image", *STYLE_COLUMNS):
            if name in columns:
                found &= _plain_references(columns[name])
        styles = self._style_counts(columns, len(batch))
        found &= styles <= self._limits.max_styles
        if "style_weights" in columns:
            found &= self._weights_fit(columns["style_weights"], styles)
        return found

    def rows(self, batch: pa.RecordBatch, folder: str) -> OrdinaryRows:
        """Return ordinary rows.

        Args:
            batch: rows for which `mask` is True.
            folder: the folder that relative references are resolved against.
        """
        columns = self._columns(batch) or {}
        count = len(batch)
        contents = self._reference("content_image", columns, folder, count)
        styles = [
            self._styles(columns, folder, count)
            if name == _LISTED
            else _lists(self._reference(name, columns, folder, count))
            for name in STYLE_COLUMNS
        ]
        prompt = self._defaults.prompt or ""
        prompts = columns.get("prompt", pa.nulls(count, pa.string())).fill_null(prompt)
        return OrdinaryRows(
            prompts,
            contents,
            pa.concat_arrays([items for items, _ in styles]),
            sum((counts for _, counts in styles), np.zeros(count, np.int64)),
            self._numbers.values(columns, count),
        )

    def _columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array] | None:
        """Return the input columns by our names; None if a text is not UTF-8 or a type is odd."""
        names = {name: at for at, name in enumerate(batch.schema.names)}
        found = {
            ours: _plain(batch.column(names[theirs]))
            for ours, theirs in self._inputs.items()
            if theirs in names
        }
        for name in ("prompt", "content_image", *STYLE_COLUMNS):
            if name not in found:
                continue
            wanted = pa.list_(pa.string()) if name == _LISTED else pa.string()
            column = _as_text(found[name], wanted)
            if column is None:
                return None
            found[name] = column
        return found

    def _style_counts(self, columns: Mapping[str, pa.Array], count: int) -> npt.NDArray[np.int64]:
        total = np.zeros(count, np.int64)
        for name in STYLE_COLUMNS:
            default = getattr(self._defaults, name) or ()
            usual = len(default) if name == _LISTED else int(bool(default))
            if name not in columns:
                total += usual
                continue
            column = columns[name]
            length = pc.list_value_length(column) if name == _LISTED else pc.not_equal(column, "")
            total += length.cast(pa.int64()).fill_null(usual).to_numpy(zero_copy_only=False)
        return total

    def _weights_fit(self, weights: pa.Array, styles: npt.NDArray[np.int64]) -> Flags:
        null = weights.is_null().to_numpy(zero_copy_only=False)
        kind = weights.type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if not is_list or kind.value_type not in (pa.float64(), pa.float32(), pa.int64()):
            return np.asarray(null)
        items = weights.flatten()
        fit = pc.and_(
            pc.greater_equal(items, 0), pc.less_equal(items, self._limits.max_style_weight)
        )
        fits, lengths = _all_items(weights, ~_flags(pc.invert(fit)))
        return np.asarray(null | (fits & (lengths == styles)))

    def _reference(
        self, name: str, columns: Mapping[str, pa.Array], folder: str, count: int
    ) -> pa.Array:
        default = getattr(self._defaults, name)
        column = columns.get(name, pa.nulls(count, pa.string()))
        if default:
            column = column.fill_null(default)
        found = resolved_column(column, folder)
        return pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.string()), found)

    def _styles(
        self, columns: Mapping[str, pa.Array], folder: str, count: int
    ) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        column = columns.get(_LISTED, pa.nulls(count, pa.list_(pa.string())))
        default = getattr(self._defaults, _LISTED)
        if default and column.null_count:
            filled = [default if cell is None else cell for cell in column.to_pylist()]
            column = pa.array(filled, column.type)
        lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        return resolved_column(column.flatten(), folder), lengths.astype(np.int64)


def ordinary_ids(column: pa.Array) -> Flags:
    """Return True for each cell that is certainly an id, `[n]`; see `cells.identifier`."""
    column = _plain(column)
    if pa.types.is_integer(column.type):
        return _flags(column.is_valid())
    texts = _as_text(column, pa.string())
    if texts is None:
        return np.zeros(len(column), bool)
    length = pc.utf8_length(texts).fill_null(0)
    return _flags(pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_ID_LENGTH)))


def _plain_references(column: pa.Array) -> Flags:
    if not pa.types.is_list(column.type):
        return is_plain_reference(column)
    items = column.flatten()
    is_empty = _flags(pc.equal(items, ""))  # true for null, too
    return _all_items(column, is_plain_reference(items) & ~is_empty)[0]


def _all_items(column: pa.Array, items: Flags) -> tuple[Flags, npt.NDArray[np.int64]]:
    """Return True for each list whose items are all True, and the lengths of the lists, `[n]`."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    passed = np.concatenate([[0], np.cumsum(~items)])
    ends = np.cumsum(lengths)
    return np.asarray(passed[ends] == passed[ends - lengths]), lengths


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _as_text(column: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    """Return a column of texts, or of lists of texts, in UTF-8; None if it is another one."""
    kind = column.type
    if pa.types.is_null(kind):
        return pa.nulls(len(column), wanted)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list != pa.types.is_list(wanted):
        return None
    inner = kind.value_type if is_list else kind
    if not (pa.types.is_string(inner) or pa.types.is_large_string(inner)):
        return None
    try:
        column.validate(full=True)
        return column if kind == wanted else column.cast(wanted)
    except pa.ArrowInvalid:  # not UTF-8, or over 2 GB
        return None


def _lists(column: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    valid: Any = column.is_valid().to_numpy(zero_copy_only=False)
    return column.drop_null(), valid.astype(np.int64)


def _flags(column: pa.Array) -> Flags:
    return np.asarray(column.fill_null(True).to_numpy(zero_copy_only=False), bool)
