"""Plug-ins of the worker, which look at finished images before they are stored.

A plug-in computes values for the record, such as a score, or changes the file, such as a signature,
or both. A new one is a module with an `ImagePlugin` and a line in `IMAGE_PLUGINS`. A configuration
key that switches it on is read by the plug-in itself, in `ImagePlugin.options`.

Importing this loads no plug-in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

    from pipelines.config.schema import RunConfig
    from pipelines.failures import Failure
    from pipelines.provenance.claim import ModelFacts
    from pipelines.provenance.references import IngredientFile
    from pipelines.rows import ManifestRow
    from pipelines.worker.scores.picture import Sources
    from pipelines.worker.sink import ImageFile

IMAGE_PLUGINS: tuple[str, ...] = (
    "pipelines.worker.safety:FLAG",
    "pipelines.worker.safety:WITHHOLD",
    "pipelines.worker.scores.plugin:PLUGIN",
    "pipelines.worker.signature:PLUGIN",
)
"""The plug-ins as `module:NAME`, in the order in which they look at an image."""


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """An image that is ready to be stored.

    Attributes:
        row: the row that asked for it.
        index: number of the image within its row, from 0.
        image: RGB pixels; other plug-ins see the same object, so it must not be changed.
        file: the encoded image, as the plug-ins before have left it.
        sources: the references of the row; None if no plug-in needs them.
        files: the files of the references; empty if no plug-in needs them.
        model: the model; None if the worker was not told.
    """

    row: ManifestRow
    index: int
    image: Image.Image
    file: ImageFile
    sources: Sources | None = None
    files: Sequence[IngredientFile] = ()
    model: ModelFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one look at an image.

    Attributes:
        values: values by the names of the plug-in's columns; a missing one becomes null.
        data: new content of the file; None: the file stays as it is.
        failure: fails the row, once the plug-in has looked at all its images. The row's record
            keeps the values. Its files are not stored, except by a worker that
            `StylizerSpec.stores_withheld`. None: the image may be stored.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    failure: Failure | None = None


Columns: TypeAlias = "tuple[pa.Field, ...]"
Look: TypeAlias = Callable[[FinishedImage], Finding]
"""A loaded plug-in. Several threads call it at once, beside the device and never holding it."""


@dataclass(frozen=True, kw_only=True)
class ImagePlugin:
    """A plug-in, before it is loaded.

    Attributes:
        name: name for messages.
        columns: the values it computes for an image: names, and Arrow types of one value; or a
            function of the options that returns them.
        on_error: outcome of a row if the plug-in raises, or returns a value of another type.
            `fail`: the row fails as `internal`. `null`: the row is recorded with nulls, and its
            files stay as they were. A `RowFailedError` always fails the row with its own failure.
        options: returns the plug-in's options in a configuration; None: it is switched off.
            Raises `ConfigError` if the configuration asks for something that is not installed.
        load: makes a plug-in with these options, in the worker.
        needs_sources: True if it looks at the references of the row.
        needs_files: True if it looks at their files.
        seals: True if it looks at an image only if that will be stored, after all plug-ins that do
            not seal, and also if one of them has rejected it.
    """

    name: str
    columns: Columns | Callable[[Mapping[str, Any]], Columns] = ()
    on_error: Literal["fail", "null"]
    options: Callable[[RunConfig], Mapping[str, Any] | None]
    load: Callable[[Mapping[str, Any]], Look]
    needs_sources: bool = False
    needs_files: bool = False
    seals: bool = False


@dataclass(frozen=True, slots=True)
class ChosenPlugin:
    """A plug-in that a run switches on; picklable.

    Attributes:
        location: `module:NAME` of its `ImagePlugin`.
        options: options to load it with.
    """

    location: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def find(self) -> ImagePlugin:
        """Import the plug-in."""
        return _find(self.location)

    @property
    def columns(self) -> Columns:
        """The values that the plug-in computes for an image, with these options."""
        columns = self.find().columns
        return columns(self.options) if callable(columns) else columns


def chosen_plugins(config: RunConfig) -> tuple[ChosenPlugin, ...]:
    """Return the plug-ins that a configuration switches on, in the order of `IMAGE_PLUGINS`.

    Raises:
        ConfigError: one of them is not installed.
    """
    found = ((location, _find(location).options(config)) for location in IMAGE_PLUGINS)
    return tuple(
        ChosenPlugin(location, options) for location, options in found if options is not None
    )


def _find(location: str) -> ImagePlugin:
    module, _, name = location.partition(":")
    plugin = getattr(import_module(module), name)
    assert isinstance(plugin, ImagePlugin)
    return plugin
