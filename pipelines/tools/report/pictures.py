"""The pictures of a row: their places, their thumbnails, and their form on the page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from pipelines.image_names import path_in_output
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.tools.report.links import link, public_link, short_name
from pipelines.tools.report.row_table import Row, RowTable
from pipelines.tools.report.values import visible

Owner = Literal["reference", "run", "other"]

THUMBNAILS = "thumbs"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that a record names.

    Attributes:
        key: name of its thumbnail.
        uri: its recorded URI.
        owner: `reference`, or the run that generated it: this `run` or the `other`.
    """

    key: str
    uri: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of a report: the output, the report itself, and the output to compare with."""

    run: Storage
    out: Storage
    other: Storage | None = None


def thumbnail_path(key: str) -> str:
    """Return the path of a thumbnail within the report."""
    return f"{THUMBNAILS}/{key[:2]}/{key}.webp"


def reference(uri: str) -> Picture:
    """Return the picture of a content or style image."""
    return Picture(_key(uri), uri, "reference")


def results(shown_row: dict[str, Any], owner: Owner) -> list[Picture]:
    """Return the pictures that a run generated for a row; a regenerated picture gets a new key."""
    outputs = shown_row.get("outputs") or []
    hashes = shown_row.get("sha256") or [None] * len(outputs)
    return [
        Picture(_key(digest or uri), uri, owner)
        for uri, digest in zip(outputs, hashes, strict=False)
    ]


def pictures_of(row: Row) -> Iterator[Picture]:
    """Yield all pictures of a row, results first."""
    yield from results(row.record.shown, "run")
    if row.against is not None:
        yield from results(row.against, "other")
    if row.record.content is not None:
        yield reference(row.record.content)
    yield from map(reference, row.record.styles)


class Gallery:
    """Describes pictures for the page: thumbnail, link, or the reason why there is no thumbnail."""

    def __init__(self, places: Places, table: RowTable) -> None:
        self._table = table
        folder, other = places.out.uri(), places.other
        self._roots = {
            "run": link(folder, places.run.uri()),
            "other": None if other is None else link(folder, other.uri()),
        }

    def shown(self, picture: Picture) -> dict[str, Any]:
        """Return JSON values: `uri`, and `name`, `thumb`, `full`, `link`, `why` if they apply."""
        made, why = self._table.picture(picture.key)
        values = {
            "uri": visible(redact_uri(picture.uri)),
            "thumb": thumbnail_path(picture.key) if made else None,
            "why": None if made else why,
        }
        if picture.owner == "reference":
            values["name"] = visible(short_name(redact_uri(picture.uri)), 200)
            values["link"] = public_link(redact_uri(picture.uri))
        else:
            values["full"] = self._full(picture)
        return {name: value for name, value in values.items() if value is not None}

    def _full(self, picture: Picture) -> str | None:
        root, path = self._roots.get(picture.owner), path_in_output(picture.uri)
        return None if root is None or path is None else f"{root}/{quote(path)}"


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
