"""One row on its way: `ManifestRow` → `Outcome`; its record is in `pipelines.record`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeGuard, TypeVar

from pipelines.failures import Failure
from uso_core.model.cache import Lookups
from uso_core.request import Parameters

Reference = str | bytes  # an absolute URI (or `data:` URI), or the image's own bytes
Status = Literal["completed", "failed"]


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
        style_weights: of each style; None: none were given, which is 1 for each.
    """

    id: str
    prompt: str
    content_image: Reference | None
    style_images: tuple[Reference, ...]
    parameters: Parameters
    fingerprint: str
    style_weights: tuple[float, ...] | None = None


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


RowT_co = TypeVar("RowT_co", bound=ManifestRow | RejectedRow, covariant=True)


@dataclass(frozen=True, slots=True)
class Entry(Generic[RowT_co]):
    """A row, and what goes to its record beside it.

    Attributes:
        row: what is to be done.
        extra: the user's own columns, which go to the record unchanged.
        source_digest: stands for the row as it is written, and is what a later run looks for; None:
            that run has to read the row. See `pipelines.manifest.source_digest`.
        num_bytes: about how much memory its values take: images and texts, not what holds them.
    """

    row: RowT_co
    extra: Mapping[str, Any] = field(default_factory=dict)
    source_digest: int | None = None
    num_bytes: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        row, num_bytes = self.row, sum(map(_value_bytes, self.extra.values()))
        if isinstance(row, ManifestRow):
            own = (row.prompt, row.content_image, *row.style_images)
            num_bytes += sum(map(_value_bytes, own))
        object.__setattr__(self, "num_bytes", num_bytes)


ManifestEntry: TypeAlias = Entry[ManifestRow | RejectedRow]
"""Any entry. For annotations only: call `Entry` to make one."""


def is_valid(entry: ManifestEntry) -> TypeGuard[Entry[ManifestRow]]:
    """Return True unless the row was rejected."""
    return isinstance(entry.row, ManifestRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds that one row spent in each stage; None: it did not get there."""

    fetch: float | None = None
    condition: float | None = None
    inference: float | None = None
    decode: float | None = None
    store: float | None = None


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
        decoded_beside: its device drew the next rows while it was decoded.
        worker: which worker drew it; None: no worker did.
        device: what it was drawn on.
        image_values: values of plug-ins by the names of their columns, one per image.
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
    decoded_beside: bool = False
    worker: str | None = None
    device: str | None = None
    image_values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    caches: Mapping[str, Lookups] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """`failed` where there is a failure."""
        return "completed" if self.failure is None else "failed"

    @property
    def device_s(self) -> float | None:
        """Seconds for which the row kept its device from the next one; None: it never got so far.

        A device that decodes beside the next row is kept for as long as it takes to condition and
        to denoise; decoding then makes the next row's steps longer by what it takes from them.
        """
        times = self.timings
        if times.condition is None or times.inference is None or times.decode is None:
            return None
        decode = 0 if self.decoded_beside else times.decode
        return (times.condition + times.inference + decode) / 1e3

    @property
    def after_s(self) -> float:
        """Seconds from when the device was free for the next row to when this one was stored."""
        decode = (self.timings.decode or 0) if self.decoded_beside else 0
        return (decode + (self.timings.store or 0)) / 1e3


def _value_bytes(value: Any) -> int:  # noqa: ANN401 (whatever a cell holds)
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list):
        return sum(map(_value_bytes, value))
    if isinstance(value, Mapping):
        return sum(map(_value_bytes, value.values()))
    return 0
