"""Names the images of rows by the template `output.name`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import unquote

from pipelines.config.schema import RunConfig
from pipelines.display import did_you_mean, display_reference, display_value
from pipelines.errors import ConfigError
from pipelines.failures import Failure
from pipelines.manifest.row_identity import rejected_for_own_columns
from pipelines.name_template import NameTemplate
from pipelines.rows import ManifestRow, Reference, RejectedRow
from uso_core.request import Parameters

_KEY = "output.name"
_OF_AN_IMAGE = frozenset({"index", "seed"})
_PARAMETERS = tuple(field.name for field in fields(Parameters) if field.name != "seed")
FIELDS = ("id", "content_stem", "style_stem", "prompt", "date", "index", "seed", *_PARAMETERS)
"""The fields of a template beside the user's own columns, which come first."""


class RowNames:
    """Gives rows the names of their images.

    Args:
        template: the template.
        columns: the names of the user's own columns, as rows pass them on.
        begun: the day of `{date}`.

    Raises:
        ConfigError: the template has a field that rows do not have.
    """

    def __init__(self, template: NameTemplate, columns: Collection[str], begun: date) -> None:
        self._template = template
        self._begun = begun
        unknown = sorted(template.fields - {*FIELDS, *columns})
        if unknown:
            own = f"; own columns: {', '.join(columns)}" if columns else ""
            guess = did_you_mean(unknown[0], [*FIELDS, *columns])
            raise ConfigError(
                f"{_KEY}: {template.text!r} has the field {{{unknown[0]}}}, which no row has; "
                f"there are {', '.join(FIELDS)}{own}{guess}"
            )
        self._numbers_itself = bool(template.fields & _OF_AN_IMAGE - {*columns})

    @classmethod
    def of(cls, config: RunConfig, columns: Collection[str], begun: date | None) -> RowNames | None:
        """Return the names that a configuration asks for; None: images are named after ids.

        Args:
            config: the configuration of the run.
            columns: the names of the user's own columns.
            begun: the day on which the output was begun; None: today, in UTC.

        Raises:
            ConfigError: the template has a field that rows do not have.
        """
        if config.output.name is None:
            return None
        day = begun or datetime.now(timezone.utc).date()
        return cls(NameTemplate(config.output.name), columns, day)

    def named(self, row: ManifestRow, own: Mapping[str, Any]) -> ManifestRow | RejectedRow:
        """Return the row with the names of its images, or rejected if a value does not fit.

        Args:
            row: the row.
            own: the values of the user's own columns.
        """
        values = {**self._values(row), **own}
        count, first = row.parameters.num_images, row.parameters.seed
        names = []
        for index in range(count):
            of_image = {"index": index, "seed": first + index, **values}
            try:
                name = self._template.fill(of_image)
            except ValueError as error:
                failure = Failure("invalid_request", f"{_KEY}: {error} ({self._given(of_image)})")
                return rejected_for_own_columns(row, failure)
            names.append(name if self._numbers_itself or count == 1 else f"{name}_{index}")
        return replace(row, names=tuple(names))

    def _given(self, values: Mapping[str, Any]) -> str:
        """Return the fields with their values, for a message."""
        fields = sorted(self._template.fields)
        return ", ".join(f"{{{name}}}: {display_value(values[name])}" for name in fields)

    def _values(self, row: ManifestRow) -> dict[str, Any]:
        numbers = {name: getattr(row.parameters, name) for name in _PARAMETERS}
        content = row.content_image
        return {
            **numbers,
            "id": row.id,
            "prompt": row.prompt,
            "date": self._begun,
            "content_stem": "" if content is None else stem_of(content),
            "style_stem": "-".join(
                [*map(stem_of, row.style_images), *(style.name for style in row.library_styles)]
            ),
        }


def stem_of(reference: Reference) -> str:
    """Return the name of a reference's file, without folders and ending; of inline ones, a hash."""
    if isinstance(reference, bytes) or reference[:5].lower() == "data:":
        return display_reference(reference)[7:19]
    path = reference
    if "://" in reference:
        path = unquote(reference.partition("?")[0].partition("#")[0])
    last = path.rstrip("/").rpartition("/")[2]
    head, dot, _ = last.rpartition(".")
    return (head if dot and head else last) or hashlib.sha256(reference.encode()).hexdigest()[:12]
