"""Rows and outcomes as JSON, between a run and a server."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from pipelines.handling import Destination
from pipelines.reference_facts import LibraryStyle, ReferenceRights
from pipelines.rows import ManifestRow, Outcome, Reference
from uso_core.request import Parameters

PREFIX = "/batch/v1"
"""Beginning of the paths of all routes."""

_OUTCOME = TypeAdapter(Outcome)
_DESTINATION = TypeAdapter(Destination)
_PARAMETERS = TypeAdapter(Parameters)
_RIGHTS = TypeAdapter(tuple[ReferenceRights, ...])
_LIBRARY_STYLES = TypeAdapter(tuple[LibraryStyle, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """A server, for a run that wants to use it.

    Attributes:
        actors: number of its actors.
        rows_per_actor: rows that a run may have there for each actor, on it or waiting for it.
        fingerprint: fingerprint of its model.
        settings: the values that must be those of the run, by key; see `agreement`.
    """

    actors: int
    rows_per_actor: int
    fingerprint: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The outcome of a row.

    Attributes:
        number: place among the outcomes of the run, from 1.
        attempts: attempts that it took.
    """

    number: int
    attempts: int
    outcome: Outcome


def row_as_json(row: ManifestRow) -> dict[str, Any]:
    """Return a row; inline images as base64."""
    return {
        "id": row.id,
        "prompt": row.prompt,
        "content": None if row.content_image is None else _reference_as_json(row.content_image),
        "styles": [_reference_as_json(style) for style in row.style_images],
        "style_weights": row.style_weights,
        "library_styles": row.library_styles,
        "given_rights": row.given_rights,
        "parameters": _PARAMETERS.dump_python(row.parameters, mode="json"),
        "fingerprint": row.fingerprint,
        "names": row.names,
    }


def row_from_json(value: Mapping[str, Any]) -> ManifestRow:
    """Return the row that `row_as_json` has described.

    Raises:
        ValueError, KeyError, TypeError: the value does not describe a row.
    """
    content, weights = value["content"], value["style_weights"]
    return ManifestRow(
        id=str(value["id"]),
        prompt=str(value["prompt"]),
        content_image=None if content is None else _reference_from_json(content),
        style_images=tuple(map(_reference_from_json, value["styles"])),
        parameters=_PARAMETERS.validate_python(value["parameters"]),
        fingerprint=str(value["fingerprint"]),
        style_weights=None if weights is None else tuple(map(float, weights)),
        library_styles=_LIBRARY_STYLES.validate_python(value.get("library_styles", ())),
        names=tuple(map(str, value["names"])),
        given_rights=_RIGHTS.validate_python(value.get("given_rights", ())),
    )


def ended_as_json(ended: Ended) -> dict[str, Any]:
    """Return the outcome of a row."""
    return {**asdict(ended), "outcome": _OUTCOME.dump_python(ended.outcome, mode="json")}


def ended_from_json(value: Mapping[str, Any]) -> Ended:
    """Return the outcome that `ended_as_json` has described."""
    outcome = _OUTCOME.validate_python(value["outcome"])
    return Ended(number=value["number"], attempts=value["attempts"], outcome=outcome)


def destination_as_json(destination: Destination) -> dict[str, Any]:
    """Return the place of a run's images."""
    found: dict[str, Any] = _DESTINATION.dump_python(destination, mode="json")
    return found


def destination_from_json(value: Any) -> Destination:  # noqa: ANN401 (any JSON value)
    """Return the place that `destination_as_json` has described.

    Raises:
        ValueError: the value does not describe a destination.
    """
    return _DESTINATION.validate_python(value)


def _reference_as_json(reference: Reference) -> dict[str, str]:
    if isinstance(reference, bytes):
        return {"base64": base64.b64encode(reference).decode()}
    return {"uri": reference}


def _reference_from_json(value: Mapping[str, str]) -> Reference:
    return base64.b64decode(value["base64"]) if "base64" in value else str(value["uri"])
