"""One row on its way: `ManifestRow` → `Outcome` → record, and the record's Arrow schema."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from pipelines.failures import Failure
from uso_core.cache import Lookups
from uso_core.request import Parameters

Reference = str | bytes  # an absolute URI (or `data:` URI), or the image's own bytes
Status = Literal["completed", "failed"]

SCHEMA_VERSION = 1

_ERROR = pa.struct(
    [
        ("code", pa.string()),
        ("message", pa.string()),
        ("stage", pa.string()),
        ("retryable", pa.bool_()),
        ("uri", pa.string()),
    ]
)
_TIMINGS = pa.struct(
    [(name, pa.float64()) for name in ("fetch", "condition", "inference", "decode", "store")]
)

RECORD_FIELDS: tuple[pa.Field, ...] = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("outputs", pa.list_(pa.string())),
    pa.field("sha256", pa.list_(pa.string())),
    pa.field("has_nsfw_contents", pa.list_(pa.bool_())),
    pa.field("error", _ERROR),
    pa.field("prompt", pa.string()),
    pa.field("prompt_truncated", pa.bool_()),
    pa.field("content_image", pa.string()),
    pa.field("style_images", pa.list_(pa.string())),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("num_steps", pa.int32()),
    pa.field("guidance", pa.float64()),
    pa.field("seed", pa.int64()),
    pa.field("model", pa.string()),
    pa.field("preset", pa.string()),
    pa.field("fingerprint", pa.string(), nullable=False),
    pa.field("source_digest", pa.int64()),
    pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("timings", _TIMINGS),
    pa.field("attempt", pa.int32(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("worker", pa.string()),
    pa.field("device", pa.string()),
    pa.field("schema_version", pa.int32(), nullable=False),
)
RECORD_NAMES = frozenset(f.name for f in RECORD_FIELDS)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One valid manifest row, with every default filled in.

    Attributes:
        id: unique in the manifest.
        prompt: may be empty.
        content_image: None where there is none.
        style_images: in the order in which the model sees them.
        parameters: the seed is final; a width or height of None is inferred by the worker.
        fingerprint: hex hash of everything that changes the picture.
    """

    id: str
    prompt: str
    content_image: Reference | None
    style_images: tuple[Reference, ...]
    parameters: Parameters
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One manifest row that asks for what is not accepted; it becomes a failed record as it is.

    Attributes:
        id: unique in the manifest.
        failure: names the column, the value and what is accepted.
        fingerprint: changes when the row is corrected.
        prompt: where there is one.
        column: at fault, under the user's name; None: the row could not be split into cells.
    """

    id: str
    failure: Failure
    fingerprint: str
    prompt: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A row, and what goes to its record beside it.

    Attributes:
        row: what is to be done.
        extra: the user's own columns, which go to the record unchanged.
        source_digest: stands for the row as it is written, and is what a later run looks for; None:
            that run has to read the row. See `pipelines.manifest.source_digest`.
    """

    row: ManifestRow | RejectedRow
    extra: Mapping[str, Any] = field(default_factory=dict)
    source_digest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds that one row spent in each stage; None: it did not get there."""

    fetch: float | None = None
    condition: float | None = None
    inference: float | None = None
    decode: float | None = None
    store: float | None = None

    @property
    def device_s(self) -> float | None:
        """Seconds on the device; None where the row did not get through it."""
        stages = (self.condition, self.inference, self.decode)
        if any(stage is None for stage in stages):
            return None
        return sum(stage for stage in stages if stage is not None) / 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the work on one row ended.

    Attributes:
        row_id: of the `ManifestRow`.
        failure: None: completed.
        outputs: the URI of each image, without credentials.
        sha256: of each image file.
        width: of the images, in pixels.
        height: likewise.
        worker: which worker drew it; None: no worker did.
        device: what it was drawn on.
        caches: what the worker had looked up in memory by then, since its start, by kind.
    """

    row_id: str
    failure: Failure | None = None
    outputs: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    prompt_truncated: bool | None = None
    timings: Timings = field(default_factory=Timings)
    worker: str | None = None
    device: str | None = None
    caches: Mapping[str, Lookups] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """`failed` where there is a failure."""
        return "completed" if self.failure is None else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the records of one run have in common."""

    run_id: str
    model: str
    preset: str


def record_schema(extra: pa.Schema) -> pa.Schema:
    """The schema of the records: the fixed columns, then the user's own, with their own types."""
    return pa.schema([*RECORD_FIELDS, *extra])


def make_record(
    entry: ManifestEntry, outcome: Outcome, run: RunFacts, *, attempt: int, created_at: datetime
) -> dict[str, Any]:
    """The record of one row, as a dict in the shape of `record_schema`."""
    failed = outcome.failure is not None
    return {
        "id": entry.row.id,
        "status": outcome.status,
        "outputs": None if failed else list(outcome.outputs),
        "sha256": None if failed else list(outcome.sha256),
        "has_nsfw_contents": None if failed else [None] * len(outcome.outputs),
        "error": _error(outcome.failure),
        **_inputs(entry.row),
        **({} if outcome.width is None else {"width": outcome.width, "height": outcome.height}),
        "prompt_truncated": outcome.prompt_truncated,
        "model": run.model,
        "preset": run.preset,
        "fingerprint": entry.row.fingerprint,
        "source_digest": entry.source_digest,
        "created_at": created_at,
        "timings": asdict(outcome.timings),
        "attempt": attempt,
        "run_id": run.run_id,
        "worker": outcome.worker,
        "device": outcome.device,
        "schema_version": SCHEMA_VERSION,
        **entry.extra,
    }


def shown_reference(reference: Reference) -> str:
    """A reference as records and messages show it: inline bytes as their hash.

    Credentials in a URI's user part or signature are left out by `public_uri`.
    """
    if isinstance(reference, bytes):
        return f"sha256:{hashlib.sha256(reference).hexdigest()}"
    if reference.startswith("data:"):
        return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    return reference


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


def _inputs(row: ManifestRow | RejectedRow) -> dict[str, Any]:
    if isinstance(row, RejectedRow):
        return {"prompt": row.prompt}
    content = row.content_image
    numbers = {f.name: getattr(row.parameters, f.name) for f in fields(Parameters)}
    return {
        "prompt": row.prompt,
        "content_image": None if content is None else shown_reference(content),
        "style_images": [shown_reference(style) for style in row.style_images],
        **{name: value for name, value in numbers.items() if name in RECORD_NAMES},
    }
