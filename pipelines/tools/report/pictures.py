"""The pictures of a row: where each lies, what its thumbnail is called, how the page shows it."""

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
        key: names its thumbnail.
        uri: as recorded.
        owner: whose it is: a reference, or drawn by this run or the one to compare with.
    """

    key: str
    uri: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that a report is made from and written to."""

    run: Storage
    out: Storage
    other: Storage | None = None


def thumbnail_path(key: str) -> str:
    """The path of a thumbnail within the report."""
    return f"{THUMBNAILS}/{key[:2]}/{key}.webp"


def reference(uri: str) -> Picture:
    """A content or style image."""
    return Picture(_key(uri), uri, "reference")


def results(shown_row: dict[str, Any], owner: Owner) -> list[Picture]:
    """What a run has drawn for a row; a picture that is drawn anew gets a new key."""
    outputs = shown_row.get("outputs") or []
    hashes = shown_row.get("sha256") or [None] * len(outputs)
    return [
        Picture(_key(digest or uri), uri, owner)
        for uri, digest in zip(outputs, hashes, strict=False)
    ]


def pictures_of(row: Row) -> Iterator[Picture]:
    """All pictures of a row, results first."""
    yield from results(row.record.shown, "run")
    if row.against is not None:
        yield from results(row.against, "other")
    if row.record.content is not None:
        yield reference(row.record.content)
    yield from map(reference, row.record.styles)


class Gallery:
    """How the page shows pictures: a thumbnail, a link to the whole, or why there is none."""

    def __init__(self, places: Places, table: RowTable) -> None:
        self._table = table
        folder, other = places.out.uri(), places.other
        self._roots = {
            "run": link(folder, places.run.uri()),
            "other": None if other is None else link(folder, other.uri()),
        }

    def shown(self, picture: Picture) -> dict[str, Any]:
        """A picture as JSON values: `uri`, and those of `name, thumb, full, link, why` it has."""
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
