"""Parses raw manifest rows. Invalid rows get a message for the author of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from pipelines.config.inputs import DefaultsConfig
from pipelines.config.schema import RunConfig
from pipelines.display import display_value
from pipelines.errors import ManifestError
from pipelines.failures import Failure
from pipelines.fields import cells
from pipelines.fields.table import FIELDS, PARAMETER_FIELDS, STYLE, STYLE_COLUMNS
from pipelines.manifest.references import resolve_reference
from pipelines.manifest.row_identity import Fingerprints, content_hash, derived_seed
from pipelines.manifest.row_styles import RowStyles
from pipelines.reference_facts import LibraryStyle
from pipelines.rows import ManifestRow, Reference, RejectedRow
from uso_core.errors import InvalidRequestError
from uso_core.loading.source import ModelCard
from uso_core.request import (
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    Limits,
    Parameters,
    check_prompt,
    check_style_weights,
)

DERIVE_SEED = -1

_READERS = {field.name: field.kind.read for field in PARAMETER_FIELDS}
_SINGLE_STYLES = tuple(name for name in STYLE_COLUMNS if name != "style_images")

RawRow = Mapping[str, Any]
"""Cells by our column names. A missing column is the same as a null cell."""


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A line that could not be split into cells.

    Attributes:
        where: the file and the line number.
        reason: the reason, for messages.
        line: the text of the line; its hash is the row's id.
    """

    where: str
    reason: str
    line: str


@dataclass(frozen=True, slots=True)
class OversizedRow:
    """A row over `manifest.max_row_mb`.

    Attributes:
        cells: the cells, null in place of long values.
        column: the user's name of the column with the largest value.
        num_bytes: the size of the row.
    """

    cells: RawRow
    column: str
    num_bytes: int


class RowParser:
    """Parses and checks raw rows.

    Args:
        config: the configuration, with the defaults and the run's seed.
        model: the model, with its limits.
        columns: the user's names of columns, by our names, for messages.
        styles: the styles of a library that rows may name; None: there is no library.

    Raises:
        ManifestError: the model does not accept a default of the configuration.
    """

    def __init__(
        self,
        config: RunConfig,
        model: ModelCard,
        columns: Mapping[str, str],
        styles: RowStyles | None = None,
    ) -> None:
        self._row_styles = styles
        self._limits = model.limits
        self._seed = config.stylize.seed
        self._preset = config.model.chosen_preset
        self._fingerprints = Fingerprints(config, model.fingerprint)
        self._columns = columns
        self._max_row_mb = config.manifest.max_row_mb
        self._defaults = _given(config.defaults)
        _check_defaults(self._defaults, self._limits)
        given = {name: self._defaults[name] for name in _READERS if name in self._defaults}
        self._default_numbers = self._limits.defaults | given

    def parse(self, raw: RawRow, row_id: str, folder: str) -> ManifestRow | RejectedRow:
        """Parse a row.

        Args:
            raw: the row's cells.
            row_id: an id that is unique in the manifest.
            folder: the folder that relative references are resolved against.
        """
        try:
            return self._row(raw, row_id, folder)
        except InvalidRequestError as error:
            return self._rejected(raw, row_id, error.field, self._message(error))

    def reject_id(self, raw: RawRow, row_id: str, error: InvalidRequestError) -> RejectedRow:
        """Reject a row with an invalid id, under the id `row_id`."""
        return self._rejected(raw, row_id, error.field, self._message(error))

    def reject_repeat(self, raw: RawRow, row_id: str, repeated: str) -> RejectedRow:
        """Reject a row whose id an earlier row has, under the id `row_id`."""
        message = (
            f"column {self._label('id')}: an earlier row has the id "
            f"{display_value(repeated)} too; make ids unique. This row is recorded as "
            f"{display_value(row_id)}"
        )
        return self._rejected(raw, row_id, "id", message)

    def reject_oversized(self, row: OversizedRow, row_id: str) -> RejectedRow:
        """Reject a row over `manifest.max_row_mb`, under the id `row_id`."""
        message = (
            f"column {row.column}: this row takes {row.num_bytes / 1e6:,.1f} MB, of which "
            f"{row.column} has the most; shorten it, store images as files, or raise "
            f"manifest.max_row_mb ({self._max_row_mb:g})"
        )
        return RejectedRow(
            row_id,
            Failure("invalid_request", message),
            self._fingerprints.of_rejected(content_hash(row.cells), message),
            column=row.column,
        )

    def reject_unreadable(self, row: UnreadableRow, row_id: str) -> RejectedRow:
        """Reject a line that is not a row, under the id `row_id`."""
        message = f"{row.where}: {row.reason}"
        content = content_hash(row.line)
        fingerprint = self._fingerprints.of_rejected(content, message)
        return RejectedRow(row_id, Failure("invalid_request", message), fingerprint)

    def _row(self, raw: RawRow, row_id: str, folder: str) -> ManifestRow:
        prompt = self._cell(raw, "prompt")
        prompt = "" if prompt is None else cells.text("prompt", prompt)
        check_prompt(prompt)
        content = cells.reference("content_image", self._cell(raw, "content_image"))
        content = None if content is None else _resolved(content, folder)
        styles = self._styles(raw, folder)
        of_library = self._library_styles(raw, len(styles))
        weights = self._weights(raw, len(styles))
        parameters = self._parameters(raw, row_id)
        return ManifestRow(
            row_id,
            prompt,
            content,
            styles,
            parameters,
            self._fingerprints.of_row(prompt, content, styles, parameters, weights, of_library),
            weights,
            of_library,
        )

    def _cell(self, raw: RawRow, name: str) -> Any:  # noqa: ANN401 (whatever a cell holds)
        value = raw.get(name)
        return self._defaults.get(name) if value is None else value

    def _styles(self, raw: RawRow, folder: str) -> tuple[Reference, ...]:
        single = [cells.reference(name, self._cell(raw, name)) for name in _SINGLE_STYLES]
        listed = cells.references("style_images", self._cell(raw, "style_images"))
        styles = [_resolved(style, folder) for style in (*single, *listed) if style is not None]
        most = self._limits.max_styles
        if len(styles) > most:
            raise InvalidRequestError(
                "style_images", f"{len(styles)} styles", f"at most {most} styles in all"
            )
        return tuple(styles)

    def _library_styles(self, raw: RawRow, num_images: int) -> tuple[LibraryStyle, ...]:
        if self._row_styles is None:
            return ()
        styles = self._row_styles.of_cell(self._cell(raw, STYLE.name))
        most = self._limits.max_styles
        if num_images + len(styles) > most:
            images = f" and {num_images} style images" if num_images else ""
            raise InvalidRequestError(
                STYLE.name, f"{len(styles)} styles{images}", f"at most {most} styles in all"
            )
        return styles

    def _weights(self, raw: RawRow, num_styles: int) -> tuple[float, ...] | None:
        weights = cells.numbers("style_weights", raw.get("style_weights"))
        if weights is None:
            return None
        check_style_weights(weights, num_styles, self._limits)
        return tuple(weights)

    def _parameters(self, raw: RawRow, row_id: str) -> Parameters:
        numbers = dict(self._default_numbers)
        for name, value in raw.items():
            if value is not None and name in _READERS:
                numbers[name] = _READERS[name](name, value)
        seed = numbers.get("seed", DERIVE_SEED)
        if seed == DERIVE_SEED:
            count = min(max(numbers.get("num_images", 1), 1), self._limits.max_images)
            numbers["seed"] = derived_seed(self._seed, row_id, count)
        elif not 0 <= seed <= MAX_SEED:
            raise InvalidRequestError("seed", seed, f"-1, or 0 to {MAX_SEED}")
        parameters = Parameters(**numbers)
        parameters.check(self._limits)
        num_steps = self._preset.steps(parameters.num_steps)
        if num_steps == parameters.num_steps:
            return parameters  # faster than a copy
        return replace(parameters, num_steps=num_steps)

    def _label(self, field: str) -> str:
        """Return the user's name of a field's column, with our name if it differs."""
        name, bracket, index = field.partition("[")
        theirs = self._columns.get(name, name)
        ours = "" if theirs == name else f" ({name})"
        return f"{theirs}{bracket}{index}{ours}"

    def _message(self, error: InvalidRequestError) -> str:
        return (
            f"column {self._label(error.field)}: {display_value(error.value)} "
            f"is not accepted; give {error.accepted}"
        )

    def _rejected(self, raw: RawRow, row_id: str, field: str, message: str) -> RejectedRow:
        prompt = raw.get("prompt")
        ours = field.partition("[")[0]
        return RejectedRow(
            row_id,
            Failure("invalid_request", message),
            self._fingerprints.of_rejected(content_hash(raw), message),
            prompt=prompt if _is_storable(prompt) else None,
            column=self._columns.get(ours, ours),
        )


def _is_storable(prompt: object) -> TypeGuard[str]:
    if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT_CHARACTERS:
        return False
    try:
        prompt.encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolved(reference: Reference, folder: str) -> Reference:
    return reference if isinstance(reference, bytes) else resolve_reference(reference, folder)


def _given(defaults: DefaultsConfig) -> dict[str, Any]:
    given = {name: getattr(defaults, name) for name in type(defaults).model_fields}
    return {name: value for name, value in given.items() if value is not None}


def _check_defaults(defaults: Mapping[str, Any], limits: Limits) -> None:
    numbers = {name: defaults[name] for name in _READERS if name in defaults}
    if numbers.get("seed") == DERIVE_SEED:
        del numbers["seed"]
    try:
        Parameters(**(limits.defaults | numbers)).check(limits)
        check_prompt(defaults.get("prompt", ""))
        for field in FIELDS:
            if (field.kind.is_list or field is STYLE) and field.name in defaults:
                field.kind.read(field.name, defaults[field.name])
    except InvalidRequestError as error:
        raise ManifestError(
            f"defaults.{error.field}",
            f"{display_value(error.value)} is not accepted; give {error.accepted}",
        ) from error
