"""A row during a run, from `ManifestRow` to `Outcome`. `pipelines.record` makes its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeGuard, TypeVar

from pipelines.editions import Place
from pipelines.failures import Failure
from pipelines.handling import Handling
from pipelines.image_names import image_path, named_path
from pipelines.reference_facts import LibraryStyle, ReferenceRights
from uso_core.model.cache import Lookups
from uso_core.request import Parameters

Reference = str | bytes  # an absolute URI (or `data:` URI), or the image's own bytes
_OTHER_BYTES = 64  # a Python object and its place in a container

Status = Literal["completed", "failed"]
TrainingMining = Literal["allowed", "notAllowed", "constrained"]
"""A wish about training models on an image and mining data from it, in the words of C2PA."""


@dataclass(frozen=True, slots=True)
class AnotherTry:
    """A further try of a row whose image has a poor score.

    Attributes:
        number: number of the try, from 1; the first one of the row has 0.
        by: name of the score that decides.
        lower_is_better: its direction.
        best: its best value so far, as the mean over the images of a try.
    """

    number: int
    by: str
    lower_is_better: bool
    best: float

    def is_beaten(self, value: float | None) -> bool:
        """Return True unless a value is better than the best one so far."""
        if value is None:
            return True
        return value >= self.best if self.lower_is_better else value <= self.best


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A valid manifest row, with every default filled in.

    Attributes:
        id: the row's id, unique in the manifest.
        prompt: the prompt, possibly empty.
        content_image: the content image; None if the row has none.
        style_images: the style images, in the order in which the model sees them.
        parameters: all parameters, with the final seed. The worker infers a width or height of
            None.
        fingerprint: hex hash of everything that changes the image.
        style_weights: one weight per style image; None if the row gives none, which means 1 for
            each.
        library_styles: styles of a library; the model sees them after the style images.
        handling: wishes of a server for this row; None in a run, where all rows are alike.
        names: the name of each image by `output.name`, without its ending; empty: the images are
            named after the id.
        given_rights: licence and wish of each reference as the manifest states them, the content
            image first; empty: it states none.
        another_try: the row was completed before, and the images are stored only if they are
            better; None: the first try.
        training_mining: the wish of the owner that the signed images state; None: that of the run.
    """

    id: str
    prompt: str
    content_image: Reference | None
    style_images: tuple[Reference, ...]
    parameters: Parameters
    fingerprint: str
    style_weights: tuple[float, ...] | None = None
    library_styles: tuple[LibraryStyle, ...] = ()
    handling: Handling | None = None
    names: tuple[str, ...] = ()
    given_rights: tuple[ReferenceRights, ...] = ()
    another_try: AnotherTry | None = None
    training_mining: TrainingMining | None = None

    @property
    def is_urgent(self) -> bool:
        """True if the row goes before others."""
        return self.handling is not None and self.handling.urgent

    @property
    def num_references(self) -> int:
        """Number of references that are fetched: the content image and the style images."""
        return (self.content_image is not None) + len(self.style_images)

    @property
    def num_styles(self) -> int:
        """Number of styles, of images and of the library."""
        return len(self.style_images) + len(self.library_styles)

    @property
    def weights(self) -> tuple[float, ...] | None:
        """A weight for each style, in the order of the model; None: 1 for each."""
        own = tuple(style.weight for style in self.library_styles)
        if self.style_weights is None and all(weight == 1 for weight in own):
            return None
        of_images = self.style_weights or (1.0,) * len(self.style_images)
        return (*of_images, *own)

    def paths(self, extension: str, count: int) -> tuple[str, ...]:
        """Return the path of each of the row's images, relative to the output."""
        if self.names:
            return tuple(named_path(name, extension) for name in self.names)
        return tuple(image_path(self.id, index, count, extension) for index in range(count))

    @property
    def as_given(self) -> ManifestRow:
        """The row with the id that it has in its run; a server makes ids unique."""
        given = None if self.handling is None else self.handling.row_id
        return self if given is None else replace(self, id=given)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """An invalid manifest row, recorded as failed without being tried.

    Attributes:
        id: the row's id, unique in the manifest.
        failure: the failure; its message names the column, the value and the accepted values.
        fingerprint: hex hash that changes when the row is corrected.
        prompt: the prompt; None if the row has none that can be stored.
        column: the user's name of the invalid column; None if the row has no cells, because its
            line could not be read.
        inputs_fingerprint: the fingerprint of the row's inputs, if they are valid and only the
            user's own columns are at fault; None if they are not.
    """

    id: str
    failure: Failure
    fingerprint: str
    prompt: str | None = None
    column: str | None = None
    inputs_fingerprint: str | None = None


RowT_co = TypeVar("RowT_co", bound=ManifestRow | RejectedRow, covariant=True)


@dataclass(frozen=True, slots=True)
class Entry(Generic[RowT_co]):
    """A row with the values that its record needs.

    Attributes:
        row: the row, valid or rejected.
        extra: the user's own columns, which go to the record unchanged.
        source_digest: a hash that shows a later run that the row has not changed; None if that
            run has to parse the row. See `pipelines.manifest.source_digest`.
        columns_digest: a hash that shows a later run that `extra` has not changed; None if that
            run cannot tell. See `pipelines.manifest.own_columns`.
        place: the place of the row in the manifest; None if a later run has to read the row.
        num_bytes: approximate memory of the values: images and texts, and 64 for any other one.
    """

    row: RowT_co
    extra: Mapping[str, Any] = field(default_factory=dict)
    source_digest: int | None = None
    columns_digest: int | None = None
    place: Place | None = field(default=None, compare=False)
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


class ReferenceVersion(NamedTuple):
    """The version of a reference that a row was generated from, or failed with.

    Attributes:
        stat: marks that its place gives to the file, such as size and time; `absent` if there was
            no file; None if there are no marks.
        sha256: hash of the file, in hex; None if it was not fetched.
    """

    stat: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds that a row spent in each stage; None if it did not reach the stage."""

    fetch: float | None = None
    condition: float | None = None
    inference: float | None = None
    decode: float | None = None
    store: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of the work on a row.

    Attributes:
        row_id: the id of the `ManifestRow`.
        failure: the failure; None if the row was completed.
        outputs: one URI per image, without credentials.
        sha256: one hash per image file, in hex.
        image_bytes: one size per image file.
        references: version of the content image, if the row has one, and of each style image; None
            for one that was not fetched, and for an inline image.
        rights: licence and wish of each of these references; None for one of which neither is
            known.
        width: width of the images in pixels; None if the row failed.
        height: height of the images in pixels; None if the row failed.
        prompt_truncated: True if the end of the prompt was cut off; None if the row failed.
        timings: the time spent in each stage.
        decoded_beside: True if the device worked on the next rows while this one was decoded.
        worker: the name of the worker; None if no worker had the row.
        device: the name of the worker's device; None if no worker had the row.
        library_versions: versions of the worker's libraries, see `pipelines.versions`.
        image_values: values of plug-ins by the names of their columns, one per image.
        caches: the worker's cache lookups since its start, by kind.
        is_beaten: True if an earlier try of the row is better: no image was stored.
        cancelled: True if the work was ended on request: there is neither an image nor a failure.
    """

    row_id: str
    failure: Failure | None = None
    outputs: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    image_bytes: tuple[int, ...] = ()
    references: tuple[ReferenceVersion | None, ...] = ()
    rights: tuple[ReferenceRights | None, ...] = ()
    width: int | None = None
    height: int | None = None
    prompt_truncated: bool | None = None
    timings: Timings = field(default_factory=Timings)
    decoded_beside: bool = False
    worker: str | None = None
    device: str | None = None
    library_versions: str | None = None
    image_values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    caches: Mapping[str, Lookups] = field(default_factory=dict)
    is_beaten: bool = False
    cancelled: bool = False

    @property
    def status(self) -> Status:
        """`failed` if there is a failure, else `completed`."""
        return "completed" if self.failure is None else "failed"

    @property
    def device_s(self) -> float | None:
        """Seconds for which the row occupied its device; None if it was not decoded.

        A device that decodes a row beside the next one is occupied while it conditions and
        denoises. The time that decoding takes from the next row's steps is part of that row's time.
        """
        times = self.timings
        if times.condition is None or times.inference is None or times.decode is None:
            return None
        decode = 0 if self.decoded_beside else times.decode
        return (times.condition + times.inference + decode) / 1e3

    @property
    def after_s(self) -> float:
        """Seconds from the moment the device was free for the next row to the end of storing."""
        decode = (self.timings.decode or 0) if self.decoded_beside else 0
        return (decode + (self.timings.store or 0)) / 1e3


def _value_bytes(value: Any) -> int:  # noqa: ANN401 (whatever a cell holds)
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind is int or kind is float:  # before the slow checks, for tables of many columns
        return _OTHER_BYTES
    if kind.__module__ == "pyarrow.lib":
        import pyarrow as pa  # noqa: PLC0415 (an actor sees no such value, and starts faster)

        return int(pa.repeat(value, 1).nbytes)
    if isinstance(value, list):
        return sum(map(_value_bytes, value))
    if isinstance(value, Mapping):
        return sum(map(_value_bytes, value.values()))
    return 0 if value is None else _OTHER_BYTES
