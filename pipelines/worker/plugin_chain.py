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
from pipelines.record import NSFW_CONTENTS, RECORD_FIELDS
from pipelines.rows import ManifestRow
from pipelines.worker.image_plugins import ChosenPlugin, Finding, FinishedImage, ImagePlugin, Look
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
    for plugin in (each.find() for each in chosen):
        for value in plugin.columns:
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

    def __init__(self, chosen: Sequence[ChosenPlugin]) -> None:
        """Load the plug-ins; raises whatever they raise."""
        plugins = [(each.find(), each.options) for each in chosen]
        self._loaded = [(plugin, plugin.load(options)) for plugin, options in plugins]

    def examine(
        self, row: ManifestRow, images: Sequence[Image.Image], files: Sequence[ImageFile]
    ) -> Examined:
        """Let each plug-in look at all images of a row, up to one that rejects an image.

        Args:
            row: the row.
            images: its images.
            files: the images, encoded.

        Raises:
            RowFailedError: a plug-in failed, and declares that its failures fail the row.
        """
        examined = Examined(list(files), {})
        for plugin, look in self._loaded:
            examined = self._after(plugin, look, row, images, examined)
            if examined.failure is not None:
                break
        return examined

    def _after(
        self,
        plugin: ImagePlugin,
        look: Look,
        row: ManifestRow,
        images: Sequence[Image.Image],
        before: Examined,
    ) -> Examined:
        pairs = zip(images, before.files, strict=True)
        try:
            findings = [
                look(FinishedImage(row, index, image, file))
                for index, (image, file) in enumerate(pairs)
            ]
            values = dict(_typed(plugin, findings))
        except RowFailedError:
            raise
        except Exception as error:  # a plug-in may raise anything
            message = f"the plug-in {plugin.name} failed: {type(error).__name__}: {error}"
            if plugin.on_error == "fail":
                raise RowFailedError(Failure("internal", message)) from error
            logger.warning("image_plugin_failed row_id=%s reason=%s", row.id, message)
            nulls = {value.name: (None,) * len(images) for value in plugin.columns}
            return Examined(before.files, {**before.values, **nulls})
        files = [
            file if finding.data is None else replace(file, data=finding.data)
            for file, finding in zip(before.files, findings, strict=True)
        ]
        failures = (finding.failure for finding in findings if finding.failure is not None)
        return Examined(files, {**before.values, **values}, next(failures, None))


def _typed(
    plugin: ImagePlugin, findings: Sequence[Finding]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each column of a plug-in with the values of all images.

    Raises:
        KeyError: a value has no column.
        pa.ArrowException: a value does not have its column's type.
    """
    names = {value.name for value in plugin.columns}
    for finding in findings:
        if undeclared := finding.values.keys() - names:
            raise KeyError(f"{min(undeclared)!r} is not one of its columns")
    for value in plugin.columns:
        given = [finding.values.get(value.name) for finding in findings]
        yield value.name, tuple(pa.array(given, value.type).to_pylist())
