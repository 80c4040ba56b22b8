"""Converts records to plain columns: texts, numbers and JSON, whatever the types of the user's.

The report sorts, counts and writes these columns; nothing after this module looks at a record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.fields.table import RECORDED_FIELDS
from pipelines.image_values import is_per_image, lowest, of_images
from pipelines.record import NSFW_CONTENTS, RECORD_NAMES, SCORES
from pipelines.tools.report.cells import cell_texts, ids_json, numbers_of, own_json, plain_json
from pipelines.tools.report.own_columns import scores_of
from pipelines.tools.report.values import number, visible

_REQUEST = tuple(field for field in RECORDED_FIELDS if not field.kind.is_reference)
_ONE_VALUE = tuple(f for f in _REQUEST if not f.kind.is_list and f.name != "prompt")
_TEXTS = ("model", "preset", "run_id", "worker", "device")
_COUNTS = ("attempt", "prompt_truncated")
FACTS: tuple[tuple[str, str], ...] = (
    *((field.name, field.title or field.name) for field in _ONE_VALUE),
    *((name, name) for name in ("model", "preset", "device", "worker", "attempt")),
    ("created_at", "recorded"),
    ("run_id", "run"),
)
"""The values that the page lists for a row, each with its title."""

JSON, TEXT, OWN_NUMBER, SCORE = "json:", "text:", "number:", "score:"
"""Prefixes of the names of columns: JSON for the page, texts to search, and numbers."""
TIMES, OWN, SCORES_SHOWN = "timings", "own", "scores"
SECONDS = "seconds"
NESTED = (TIMES, OWN, SCORES_SHOWN)
"""Objects in a row on the page; the JSON of their members is in columns such as `json:own:NAME`."""
_TEXT_LISTS = pa.list_(pa.string())
_PER_SECOND = 10_000  # tenths of a millisecond


class PlainColumns:
    """Converts batches of records of the same schema."""

    def __init__(self, schema: pa.Schema, scores: Sequence[str], numbers: Sequence[str]) -> None:
        """Prepare for records with this schema.

        Args:
            schema: schema of the records.
            scores: names of the scores; empty if a column of that name is the user's own.
            numbers: names of the user's columns of numbers that the page filters as such; its other
                columns are picked or searched.
        """
        self._not_texts = frozenset(map(visible, numbers))
        self._scores, self._numbers = tuple(scores), tuple(numbers)
        hidden = {SCORES} if scores else set()
        self._own = [f.name for f in schema if f.name not in RECORD_NAMES and f.name not in hidden]
        self._per_image = frozenset(field.name for field in schema if is_per_image(field))

    def convert(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the plain columns of a batch."""
        columns = {
            **_facts(batch),
            **_shown(batch),
            **_times(batch["timings"]),
            **self._own_columns(batch),
            **self._score_columns(batch),
        }
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _own_columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        columns: dict[str, pa.Array] = {}
        for name in self._own:
            cells = batch[name]
            kinds = {f"{JSON}{OWN}:": own_json}
            if visible(name) not in self._not_texts:
                kinds[TEXT] = cell_texts
            for kind, values_of in kinds.items():
                column, values = kind + visible(name), values_of(cells)
                # Of two columns with the same visible name, the later one is shown.
                known = columns.get(column)
                columns[column] = values if known is None else pc.coalesce(values, known)
        for name in self._numbers:
            slow = lowest if name in self._per_image else number
            columns[OWN_NUMBER + name] = _floats(numbers_of(batch[name], slow))
        return columns

    def _score_columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        columns = {}
        for name, values in _scores(batch[SCORES], self._scores).items() if self._scores else ():
            numbers = _floats(values)
            columns[SCORE + name] = numbers
            columns[f"{JSON}{SCORES_SHOWN}:{name}"] = numbers.cast(pa.string())
        return columns


def _facts(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return what the report sorts, counts and filters by, apart from numbers."""
    code = failure_codes(batch["status"], batch["error"])
    completed = code.is_null()
    sides = [pc.if_else(completed, batch[name], None) for name in ("width", "height")]
    return {
        "id": batch["id"],
        "code": code,
        "content": batch["content_image"],
        "styles": batch["style_images"].cast(_TEXT_LISTS),
        "outputs": batch["outputs"],
        "sha256": _if_read(batch, "sha256", _TEXT_LISTS),
        "width": sides[0],
        "height": sides[1],
        "flagged": _flagged(batch[NSFW_CONTENTS]),
    }


def _if_read(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    return batch[name] if name in batch.schema.names else pa.nulls(len(batch), kind)


def _shown(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the JSON of the values that the page shows, apart from the user's own."""
    key, odd_id = ids_json(batch["id"])
    flags = pc.if_else(_flagged(batch[NSFW_CONTENTS]), batch[NSFW_CONTENTS], None)
    columns = {
        "key": key,
        "id": odd_id,
        "prompt": plain_json(pc.fill_null(batch["prompt"], "")),
        "flags": plain_json(flags),
        "error": errors_json(batch["status"], batch["error"]),
        "created_at": _moments(batch["created_at"]),
        **{name: plain_json(batch[name]) for name in _COUNTS},
        **{name: plain_json(_not_empty(batch[name])) for name in _TEXTS},
        **{f.name: plain_json(batch[f.name]) for f in _REQUEST if f.name != "prompt"},
    }
    return {JSON + name: values for name, values in columns.items()}


def failure_codes(status: pa.Array, error: pa.Array) -> pa.Array:
    """Return the failure code of each record; null for a completed one."""
    codes = pc.struct_field(error, "code")
    codes = pc.if_else(pc.equal(pc.fill_null(codes, ""), ""), "internal", codes)
    return pc.if_else(pc.equal(status, "completed"), None, codes)


def errors_json(status: pa.Array, error: pa.Array) -> pa.Array:
    """Return the JSON of the failures; null for a completed record."""
    codes = failure_codes(status, error)
    failed = codes.is_valid()
    texts: list[str | None] = [None] * len(codes)
    rows = np.flatnonzero(failed.to_numpy(zero_copy_only=False)).tolist()
    found = zip(
        rows, codes.filter(failed).to_pylist(), error.filter(failed).to_pylist(), strict=True
    )
    for row, code, known in found:
        facts = known or {}
        shown = {
            "code": visible(code),
            "message": visible(facts.get("message") or ""),
            "stage": visible(facts.get("stage") or ""),
            "retryable": bool(facts.get("retryable")),
        }
        texts[row] = json.dumps(shown)
    return pa.array(texts, pa.string())


def _flagged(flags: pa.Array) -> pa.Array:
    """Return True for rows with a flagged image."""
    rows = pc.list_parent_indices(flags).to_numpy()
    found = pc.fill_null(pc.list_flatten(flags), False).to_numpy(zero_copy_only=False)
    flagged = np.zeros(len(flags), bool)
    flagged[rows[found]] = True
    return pa.array(flagged)


def _moments(times: pa.Array) -> pa.Array:
    seconds = pc.floor_temporal(times, unit="second").cast(pa.timestamp("s"))
    return pc.binary_join_element_wise('"', seconds.cast(pa.string()), '+00:00"', "")


def _not_empty(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _times(timings: pa.Array) -> dict[str, pa.Array]:
    """Return the time of each stage in ms, as JSON, and all of them in seconds."""
    columns = {}
    tenths = np.zeros(len(timings), np.int64)
    known = np.zeros(len(timings), bool)
    for stage in (field.name for field in timings.type):
        ms = pc.struct_field(timings, stage).cast(pa.float64()).to_numpy(zero_copy_only=False)
        has = np.isfinite(ms)
        rounded = _tenths(np.where(has, ms, 0.0))
        tenths += rounded
        known |= has
        columns[f"{JSON}{TIMES}:{stage}"] = _floats(np.where(has, rounded / 10, np.nan)).cast(
            pa.string()
        )
    columns[SECONDS] = _floats(np.where(known, tenths / _PER_SECOND, np.nan))
    return columns


def _tenths(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round to tenths as Python does, and return their numbers."""
    scaled = numbers * 10
    rounded = np.rint(scaled)
    # Near a tie, the product is too coarse to tell which tenth is nearer.
    for place in np.flatnonzero(np.abs(np.abs(scaled - np.trunc(scaled)) - 0.5) < 1e-4).tolist():
        rounded[place] = round(round(float(numbers[place]), 1) * 10)
    return rounded.astype(np.int64)


def _scores(column: pa.Array, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the scores of rows by name, NaN for none; the mean if a row has several images."""
    single = column
    several: list[int] = []
    if pa.types.is_list(column.type):
        rows = np.arange(len(column))
        single = of_images(column, rows, np.zeros(len(column), np.int64))
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        several = np.flatnonzero(lengths > 1).tolist()
    found = {name: numbers_of(pc.struct_field(single, name), number) for name in names}
    for row, cell in zip(
        several, column.take(pa.array(several, pa.int64())).to_pylist(), strict=True
    ):
        means = scores_of(cell)
        for name, values in found.items():
            mean = means.get(name)
            values[row] = np.nan if mean is None else mean
    return found


def _floats(values: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)  # NaN becomes null
