"""The references of a row, as the manifest of its images names them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.fetch.file_formats import recognised
from pipelines.recipe import reference_name
from pipelines.rows import ManifestRow, Reference

_MARK = b"c2pa"  # label of the box that holds manifests, in every format
_MEDIA_TYPES = {
    name: f"image/{name.lower()}" for name in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIC")
}
_URN = "urn:sha256:"


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """The file of a reference.

    Attributes:
        sha256: hash of the file, in hex.
        media_type: media type of its format; None for a format that cannot hold a manifest.
        data: the file, if it seems to hold a manifest of its own; else None, to save memory.
    """

    sha256: str
    media_type: str | None = None
    data: bytes | None = None

    @classmethod
    def of(cls, data: bytes) -> ReferenceFile:
        """Describe a file."""
        media_type = media_type_of(data)
        kept = data if media_type is not None and _MARK in data else None
        return cls(hashlib.sha256(data).hexdigest(), media_type, kept)


def media_type_of(data: bytes) -> str | None:
    """Return the media type of an image file; None for a format that cannot hold a manifest."""
    return _MEDIA_TYPES.get(recognised(data) or "")


@dataclass(frozen=True, slots=True)
class IngredientFile:
    """A reference in its role.

    Attributes:
        role: `content` or `style`.
        label: name within the manifest's definition, unique there.
        title: name of the file, without folders.
        file: the file.
    """

    role: str
    label: str
    title: str
    file: ReferenceFile

    @property
    def sha256(self) -> str:
        """Hash of the file, in hex."""
        return self.file.sha256

    def ingredient(self) -> dict[str, Any]:
        """Return the ingredient of a manifest's definition.

        The relationship is that of an input to a model: no pixel of it is in the image.
        """
        found: dict[str, Any] = {
            "label": self.label,
            "title": self.title,
            "instance_id": f"{_URN}{self.sha256}",
            "relationship": "inputTo",
        }
        return found | ({"format": self.file.media_type} if self.file.media_type else {})


def ingredients_of(row: ManifestRow, files: Sequence[ReferenceFile | None]) -> list[IngredientFile]:
    """Return the references of a row that it was generated from.

    Args:
        row: the row.
        files: the file of the content image, if the row has one, and of each style image; None for
            one that was not used.
    """
    places: list[tuple[str, str, Reference]] = []
    if row.content_image is not None:
        places.append(("content", "content", row.content_image))
    places += [("style", f"style-{at}", style) for at, style in enumerate(row.style_images, 1)]
    return [
        IngredientFile(role, label, reference_name(reference), file)
        for (role, label, reference), file in zip(places, files, strict=True)
        if file is not None
    ]


def hash_of(instance_id: str) -> str | None:
    """Return the hash in the id of an ingredient that is a reference; None for another one."""
    return instance_id.removeprefix(_URN) if instance_id.startswith(_URN) else None
