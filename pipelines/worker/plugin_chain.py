"""Runs the image plug-ins of a worker in order, and checks the types of their values."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from PIL import Image

from pipelines.errors import ConfigError
from pipelines.failures import Failure, RowFailedError
from pipelines.image_values import record_column
from pipelines.provenance.claim import ModelFacts
from pipelines.provenance.references import IngredientFile
from pipelines.record import NSFW_CONTENTS, RECORD_FIELDS
from pipelines.rows import ManifestRow
from pipelines.worker.image_plugins import (
    ChosenPlugin,
    Columns,
    Finding,
    FinishedImage,
    ImagePlugin,
    Look,
)
from pipelines.worker.scores.picture import Sources
from pipelines.worker.sink import ImageFile

logger = logging.getLogger(__name__)

_COLUMN_OF_RECORD = {field.name: field for field in RECORD_FIELDS}


def plugin_columns(chosen: Sequence[ChosenPlugin], extra: pa.Schema) -> pa.Schema:
    """Return the columns that plug-ins add to the records.

    A plug-in may also fill `has_nsfw_contents`, which every record has; it adds no column then.

    Args:
        chosen: the plug-ins of the run, in order.
        extra: the user's own columns.

    Raises:
        ConfigError: a column has a name that the records already use.
    """
    columns: dict[str, pa.Field] = {}
    for each in chosen:
        plugin = each.find()
        for value in each.columns:
            if value.name in extra.names:
                raise ConfigError(
                    f"the manifest's column {value.name!r} is also a column of the plug-in "
                    f"{plugin.name}; rename it, or leave it out with manifest.keep_columns"
                )
            column = record_column(value)
            known = columns.get(value.name, _COLUMN_OF_RECORD.get(value.name))
            if known is not None and (known.name != NSFW_CONTENTS or known.type != column.type):
                raise ConfigError(
                    f"the plug-in {plugin.name} declares the column {value.name!r}, which the "
                    "records already have; rename it in the plug-in"
                )
            columns[value.name] = column
    return pa.schema([each for name, each in columns.items() if name != NSFW_CONTENTS])


@dataclass(frozen=True, slots=True)
class GeneratedRow:
    """A row whose images are generated.

    Attributes:
        row: the row.
        images: its images.
        sources: its references, if `PluginChain.needs_sources`.
        files: the files of its references, if `PluginChain.needs_files`.
    """

    row: ManifestRow
    images: Sequence[Image.Image]
    sources: Sources | None = None
    files: Sequence[IngredientFile] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """The images of a row after all plug-ins.

    Attributes:
        files: the files to store.
        values: for each column of a plug-in, one value per image.
        failure: the failure with which a plug-in has rejected an image; None: it rejected none.
    """

    files: list[ImageFile]
    values: Mapping[str, tuple[Any, ...]]
    failure: Failure | None = None


class PluginChain:
    """The loaded plug-ins of a worker. Thread-safe if they are."""

    def __init__(self, chosen: Sequence[ChosenPlugin], model: ModelFacts | None = None) -> None:
        """Load the plug-ins; raises whatever they raise.

        Args:
            chosen: the plug-ins, in order.
            model: the model, if a plug-in states it.
        """
        self._loaded = [_Loaded.of(each) for each in chosen]
        self._model = model

    @property
    def needs_sources(self) -> bool:
        """True if a plug-in looks at the references of the rows."""
        return any(each.plugin.needs_sources for each in self._loaded)

    @property
    def needs_files(self) -> bool:
        """True if a plug-in looks at the files of the references."""
        return any(each.plugin.needs_files for each in self._loaded)

    def examine(self, generated: GeneratedRow, files: Sequence[ImageFile]) -> Examined:
        """Let each plug-in look at all images of a row, up to one that rejects an image.

        Plug-ins that seal files are left for `seal`.

        Args:
            generated: the row.
            files: the images, encoded.

        Raises:
            RowFailedError: a plug-in failed, and declares that its failures fail the row.
        """
        examined = Examined(list(files), {})
        for loaded in self._loaded:
            if examined.failure is None and not loaded.plugin.seals:
                examined = _after(loaded, self._shown(generated, examined), examined)
        return examined

    def seal(self, generated: GeneratedRow, examined: Examined) -> Examined:
        """Let the plug-ins that seal files look at the ones that will be stored.

        Args:
            generated: the row.
            examined: the result of `examine`; its failure stays.

        Raises:
            RowFailedError: see `examine`.
        """
        for loaded in self._loaded:
            if loaded.plugin.seals:
                sealed = _after(loaded, self._shown(generated, examined), examined)
                examined = replace(sealed, failure=sealed.failure or examined.failure)
        return examined

    def _shown(self, generated: GeneratedRow, examined: Examined) -> list[FinishedImage]:
        return [
            FinishedImage(
                generated.row, at, image, file, generated.sources, generated.files, self._model
            )
            for at, (image, file) in enumerate(zip(generated.images, examined.files, strict=True))
        ]


@dataclass(frozen=True, slots=True)
class _Loaded:
    plugin: ImagePlugin
    columns: Columns
    look: Look

    @classmethod
    def of(cls, chosen: ChosenPlugin) -> _Loaded:
        plugin = chosen.find()
        return cls(plugin, chosen.columns, plugin.load(chosen.options))


def _after(loaded: _Loaded, images: Sequence[FinishedImage], before: Examined) -> Examined:
    plugin, row = loaded.plugin, images[0].row if images else None
    try:
        findings = [loaded.look(image) for image in images]
        values = dict(_typed(loaded.columns, findings))
    except RowFailedError:
        raise
    except Exception as error:  # a plug-in may raise anything
        message = f"the plug-in {plugin.name} failed: {type(error).__name__}: {error}"
        if plugin.on_error == "fail":
            raise RowFailedError(Failure("internal", message)) from error
        row_id = None if row is None else row.id
        logger.warning("image_plugin_failed row_id=%s reason=%s", row_id, message)
        nulls = {value.name: (None,) * len(images) for value in loaded.columns}
        return Examined(before.files, {**before.values, **nulls})
    files = [
        file if finding.data is None else replace(file, data=finding.data)
        for file, finding in zip(before.files, findings, strict=True)
    ]
    failures = (finding.failure for finding in findings if finding.failure is not None)
    return Examined(files, {**before.values, **values}, next(failures, None))


def _typed(columns: Columns, findings: Sequence[Finding]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each column of a plug-in with the values of all images.

    Raises:
        KeyError: a value has no column.
        pa.ArrowException: a value does not have its column's type.
    """
    names = {value.name for value in columns}
    for finding in findings:
        if undeclared := finding.values.keys() - names:
            raise KeyError(f"{min(undeclared)!r} is not one of its columns")
    for value in columns:
        given = [finding.values.get(value.name) for finding in findings]
        yield value.name, tuple(pa.array(given, value.type).to_pylist())
