"""The pictures of a row: their places, their thumbnails, and their form on the page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote

from pipelines.image_names import path_in_output
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.tools.report.links import link, public_link, short_name
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.row_table import Row
from pipelines.tools.report.values import visible

Owner = Literal["reference", "run", "other"]

THUMBNAILS = "thumbs"
_KEPT = 4096  # descriptions of references


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
    return Picture(picture_key(uri), uri, "reference")


def results(
    outputs: Sequence[str] | None, sha256: Sequence[str | None] | None, owner: Owner
) -> list[Picture]:
    """Return the pictures that a run generated for a row; a regenerated picture gets a new key.

    Args:
        outputs: URIs of the pictures, as recorded.
        sha256: their hashes; None or empty if they are unknown.
        owner: the run.
    """
    hashes = sha256 or [None] * len(outputs or ())
    return [
        Picture(picture_key(uri, digest), uri, owner)
        for uri, digest in zip(outputs or (), hashes, strict=False)
    ]


def picture_key(uri: str, sha256: str | None = None) -> str:
    """Return the key of a picture: that of its bytes, or of its URI if their hash is unknown."""
    text = sha256 or uri
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def pictures_of(row: Row) -> Iterator[Picture]:
    """Yield all pictures of a row, results first."""
    yield from results(row.outputs, row.sha256, "run")
    if row.against is not None:
        yield from results(row.against.get("outputs"), row.against.get("sha256"), "other")
    if row.content is not None:
        yield reference(row.content)
    yield from map(reference, row.styles)


class Gallery:
    """Describes pictures for the page: thumbnail, link, or the reason why there is no thumbnail.

    Attributes:
        pictures: notes of all thumbnails.
        roots: the link to each run's folder; None if there is no such link.
        shown_reference: describes a reference given by its URI; keeps the last ones.
    """

    def __init__(self, places: Places, pictures: PictureTable) -> None:
        self.pictures = pictures
        folder, other = places.out.uri(), places.other
        self.roots = {
            "run": link(folder, places.run.uri()),
            "other": None if other is None else link(folder, other.uri()),
        }
        self.shown_reference = lru_cache(_KEPT)(self._shown_reference)

    def shown(self, picture: Picture) -> dict[str, Any]:
        """Return JSON values: `uri`, and `name`, `thumb`, `full`, `link`, `why` if they apply."""
        made, why = self.pictures.picture(picture.key)
        public = redact_uri(picture.uri)
        values = {
            "uri": visible(public),
            "thumb": thumbnail_path(picture.key) if made else None,
            "why": None if made else why,
        }
        if picture.owner == "reference":
            values["name"] = visible(short_name(public), 200)
            values["link"] = public_link(public)
        else:
            values["full"] = self._full(picture)
        return {name: value for name, value in values.items() if value is not None}

    def _shown_reference(self, uri: str) -> dict[str, Any]:
        return self.shown(reference(uri))

    def _full(self, picture: Picture) -> str | None:
        root, path = self.roots.get(picture.owner), path_in_output(picture.uri)
        return None if root is None or path is None else f"{root}/{quote(path)}"
