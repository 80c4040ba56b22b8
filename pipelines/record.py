"""Records: one per row, with the row's inputs and its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.display import display_reference
from pipelines.failures import Failure
from pipelines.fields.arrow import column
from pipelines.fields.table import LATER_FIELDS, RECORDED_FIELDS
from pipelines.image_values import is_of_run, of_run
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import (
    ManifestEntry,
    ManifestRow,
    Outcome,
    ReferenceVersion,
    RejectedRow,
    Timings,
)

SCHEMA_VERSION = 1
NSFW_CONTENTS = "has_nsfw_contents"
"""True for an image that the safety check has flagged; null for one that it has not seen."""
NSFW_SCORE = "nsfw_score"
"""The column of the safety check's scores, in outputs that have some."""

UNSIGNED_SHA256 = "unsigned_sha256"
"""The column of the hashes of the encoded images before they were signed, in signed outputs."""

SCORES = "scores"
"""The column of the scores of each image, by name, in outputs that have some."""

TRIES = "tries"
"""The column of the tries of a row, the kept one first; null for a row with one try."""

LIBRARY_VERSIONS = "library_versions"
"""Versions of the libraries that drew the images, see `pipelines.versions`; null if unknown."""

COLUMNS_DIGEST = "columns_digest"
EDITION_DIGEST = "edition_digest"
EDITION_ROW = "edition_row"
"""The `Place` of the row, see `pipelines.editions`; null if a later run has to read the row."""

IMAGE_BYTES = "image_bytes"
"""Sizes of the image files; null for rows that an older version completed."""

REFERENCE_VERSIONS = "reference_versions"
"""Versions of the content image, if there is one, and of each style image; null if unknown."""

MODEL_LICENCE = "model_licence"
"""Licence of the base model, if it is known."""

REFERENCE_RIGHTS = "reference_rights"
"""Licence and wish of the content image, if there is one, and of each style image."""

_RIGHTS = pa.struct([("licence", pa.string()), ("wish", pa.string())])

LIBRARY_STYLES = "library_styles"
"""The styles of a library that a row names; null for a row without one."""

_LIBRARY_STYLE = pa.struct(
    [
        ("name", pa.string()),
        ("sha256", pa.string()),
        ("weight", pa.float64()),
        ("licence", pa.string()),
    ]
)
_VERSION = pa.struct([("stat", pa.string()), ("sha256", pa.string())])
_ERROR = pa.struct(
    [
        ("code", pa.string()),
        ("message", pa.string()),
        ("stage", pa.string()),
        ("retryable", pa.bool_()),
        ("uri", pa.string()),
    ]
)
_STAGES = tuple(f.name for f in fields(Timings))
_PROMPT, *_OTHER_FIELDS = map(column, RECORDED_FIELDS)
_TIMINGS = pa.struct([(stage, pa.float64()) for stage in _STAGES])

RECORD_FIELDS: tuple[pa.Field, ...] = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("outputs", pa.list_(pa.string())),
    pa.field("sha256", pa.list_(pa.string())),
    pa.field(IMAGE_BYTES, pa.list_(pa.int64())),
    pa.field(NSFW_CONTENTS, pa.list_(pa.bool_())),
    pa.field("error", _ERROR),
    _PROMPT,
    pa.field("prompt_truncated", pa.bool_()),
    *_OTHER_FIELDS,
    pa.field(LIBRARY_STYLES, pa.list_(_LIBRARY_STYLE)),
    pa.field("model", pa.string()),
    pa.field(MODEL_LICENCE, pa.string()),
    pa.field("preset", pa.string()),
    pa.field("fingerprint", pa.string(), nullable=False),
    pa.field("source_digest", pa.int64()),
    pa.field(COLUMNS_DIGEST, pa.int64()),
    pa.field(EDITION_DIGEST, pa.int64()),
    pa.field(EDITION_ROW, pa.int64()),
    pa.field(REFERENCE_VERSIONS, pa.list_(_VERSION)),
    pa.field(REFERENCE_RIGHTS, pa.list_(_RIGHTS)),
    pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("timings", _TIMINGS),
    pa.field("attempt", pa.int32(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("worker", pa.string()),
    pa.field("device", pa.string()),
    pa.field(LIBRARY_VERSIONS, pa.string()),
    pa.field("schema_version", pa.int32(), nullable=False),
)
RECORD_NAMES = frozenset(f.name for f in RECORD_FIELDS)
_DIGESTS = {"source_digest", COLUMNS_DIGEST, EDITION_DIGEST, EDITION_ROW}
_LATER = {IMAGE_BYTES, REFERENCE_VERSIONS, LIBRARY_VERSIONS, LIBRARY_STYLES, *_DIGESTS}
_LATER |= {REFERENCE_RIGHTS, MODEL_LICENCE}
_LATER |= {"keep_size", "content_long_size", *(f.name for f in LATER_FIELDS)}
ADDED_LATER = RECORD_NAMES & _LATER
"""Columns that the records of older versions may lack."""

_OF_DRAWING = ("seed", "num_steps", "guidance")
_PARAMETERS = tuple(field.name for field in RECORDED_FIELDS if field.is_parameter)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The values that all records of a run share.

    Attributes:
        run_id: the run's id.
        model: the model's name.
        preset: the preset's name.
        model_licence: licence of the base model; None: unknown.
    """

    run_id: str
    model: str
    preset: str
    model_licence: str | None = None


def missing_value(record: Mapping[str, Any]) -> str | None:
    """Return the column in which a completed record lacks a value that every version writes.

    Another program has written such a record: it can be neither checked nor drawn again.

    Returns:
        The first such column; None if there is none.
    """
    return next((name for name in _OF_DRAWING if record[name] is None), None)


_NO_COLUMNS = pa.schema([])


_FROM_TEXT = {b"uso-batch.from_text": b"1"}


def from_text(field: pa.Field) -> pa.Field:
    """Mark a column whose type follows from its text, so that it may differ from run to run."""
    return field.with_metadata(_FROM_TEXT)


def is_from_text(field: pa.Field) -> bool:
    """Return True if the type of a column follows from its text."""
    return (field.metadata or {}).items() >= _FROM_TEXT.items()


def record_schema(extra: pa.Schema, image_values: pa.Schema = _NO_COLUMNS) -> pa.Schema:
    """Return the schema of the records.

    Args:
        extra: the user's own columns, with their own types.
        image_values: columns of plug-ins, see `pipelines.image_values`.

    Returns:
        The fixed columns, then the columns of plug-ins, then the user's own.
    """
    return pa.schema([*RECORD_FIELDS, *image_values, *extra])


def columns_of_run(schema: pa.Schema) -> list[str]:
    """Return the names of the columns of records that a run fills: all but the user's own.

    A column of the user's own may have the name of one that only some outputs have, such as
    `scores`, and values that Python does not have.
    """
    return [field.name for field in schema if field.name in RECORD_NAMES or is_of_run(field)]


def tries_column(scores: Sequence[str]) -> pa.Field:
    """Return the column of tries that have these scores."""
    of_scores = pa.struct([(name, pa.float64()) for name in scores])
    one = pa.struct([("number", pa.int32()), ("seed", pa.int64()), ("scores", of_scores)])
    return of_run(pa.field(TRIES, pa.list_(one)))


def make_record(
    entry: ManifestEntry, outcome: Outcome, run: RunFacts, *, attempt: int, created_at: datetime
) -> dict[str, Any]:
    """Return the record of a row.

    Args:
        entry: the row.
        outcome: the row's outcome.
        run: the values that all records of the run share.
        attempt: the number of the last attempt, from 1.
        created_at: the time of the record, with a time zone.

    Returns:
        A value for each column of `record_schema`.
    """
    failed = outcome.failure is not None
    return {
        "id": entry.row.id,
        "status": outcome.status,
        "outputs": None if failed else list(outcome.outputs),
        "sha256": None if failed else list(outcome.sha256),
        IMAGE_BYTES: None if failed else list(outcome.image_bytes) or None,
        NSFW_CONTENTS: None if failed else [None] * len(outcome.outputs),
        "error": _error(outcome.failure),
        **recorded_inputs(entry.row),
        **({} if outcome.width is None else {"width": outcome.width, "height": outcome.height}),
        "prompt_truncated": outcome.prompt_truncated,
        "model": run.model,
        MODEL_LICENCE: run.model_licence,
        "preset": run.preset,
        "fingerprint": entry.row.fingerprint,
        "source_digest": entry.source_digest,
        COLUMNS_DIGEST: entry.columns_digest,
        EDITION_DIGEST: None if entry.place is None else entry.place.edition,
        EDITION_ROW: None if entry.place is None else entry.place.row,
        REFERENCE_VERSIONS: _listed(outcome.references),
        REFERENCE_RIGHTS: _listed(outcome.rights),
        "created_at": created_at,
        "timings": {stage: getattr(outcome.timings, stage) for stage in _STAGES},
        "attempt": attempt,
        "run_id": run.run_id,
        "worker": outcome.worker,
        "device": outcome.device,
        LIBRARY_VERSIONS: outcome.library_versions,
        "schema_version": SCHEMA_VERSION,
        **{name: list(values) for name, values in outcome.image_values.items()},
        **entry.extra,
    }


def _error(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "code": failure.code,
        "message": failure.message,
        "stage": failure.stage,
        "retryable": failure.retryable,
        "uri": failure.uri,
    }


def _listed(
    facts: Sequence[ReferenceVersion | ReferenceRights | None],
) -> list[dict[str, Any] | None] | None:
    """Return the facts about each reference; None if nothing is known of any."""
    if not any(facts):
        return None
    return [None if each is None else each._asdict() for each in facts]


def recorded_inputs(row: ManifestRow | RejectedRow) -> dict[str, Any]:
    """Return the inputs of a row as its record has them; of a rejected row, its prompt."""
    if isinstance(row, RejectedRow):
        return {"prompt": row.prompt}
    content = row.content_image
    return {
        "prompt": row.prompt,
        "content_image": None if content is None else display_reference(content),
        "style_images": [display_reference(style) for style in row.style_images],
        "style_weights": row.style_weights,
        LIBRARY_STYLES: [style._asdict() for style in row.library_styles] or None,
        **{name: getattr(row.parameters, name) for name in _PARAMETERS},
    }
