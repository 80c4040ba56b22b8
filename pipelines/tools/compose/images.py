"""Which images there are: in folders, in buckets, behind globs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.errors import ComposeError
from pipelines.manifest.source import patiently
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.urls import redact_uri

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images at some places.

    Attributes:
        uris: absolute URIs, or absolute local paths.
        left_out: how many files of which ending were there and are no images by their names.
    """

    uris: list[str]
    left_out: Counter[str] = field(default_factory=Counter)


def find_images(places: Sequence[str], options: Options) -> FoundImages:
    """The images at `places`, in their order.

    What a folder (with its subfolders) or a glob gives is sorted by path; of it only files that
    end in one of `ENDINGS` are taken, and none below a name that starts with a dot. A single file,
    and an http(s) URL, is taken as it is.

    Args:
        places: files, folders, globs, local or at any fsspec URL.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ComposeError: there is no image at one of the places, or a file's name is not UTF-8.
        ManifestError: a place does not exist or cannot be listed.
        StorageError: a URL's filesystem cannot be used.
    """
    found = [_find(place, options) for place in places]
    left_out = sum((one.left_out for one in found), Counter[str]())
    return FoundImages([uri for one in found for uri in one.uris], left_out)


def _find(place: str, options: Options) -> FoundImages:
    if place.startswith(("http://", "https://")):
        return FoundImages([place])  # web servers give no lists
    fs, path = open_filesystem(place, options)
    local = isinstance(fs, LocalFileSystem)
    if not (local and Path(path).exists()) and any(character in path for character in "*?["):
        names = sorted(_matches(place, fs, path))
    else:
        info = patiently(redact_uri(place), lambda: fs.info(path))
        if info["type"] != "directory":
            return FoundImages([_uri(fs, info["name"])])
        names = sorted(_below(place, fs, path))
    images = [name for name in names if name.lower().endswith(ENDINGS)]
    if not images:
        wanted = ", ".join(ENDINGS)
        raise ComposeError(f"{redact_uri(place)}: no image is there (a file that ends in {wanted})")
    endings = (PurePosixPath(name).suffix.lower() for name in names)
    left_out = Counter(ending for ending in endings if ending not in ENDINGS)
    return FoundImages([_uri(fs, name) for name in images], left_out)


def _matches(place: str, fs: AbstractFileSystem, pattern: str) -> Iterator[str]:
    hits: dict[str, dict[str, Any]] = patiently(
        redact_uri(place), lambda: fs.glob(pattern, detail=True)
    )
    for name, info in hits.items():
        if info["type"] == "directory":
            yield from _below(place, fs, name)
        elif not PurePosixPath(name).name.startswith("."):
            yield name


def _below(place: str, fs: AbstractFileSystem, folder: str) -> Iterator[str]:
    names: list[str] = patiently(redact_uri(place), lambda: fs.find(folder))
    root = folder.rstrip("/")
    return (name for name in names if "/." not in name.removeprefix(root))


def _uri(fs: AbstractFileSystem, name: str) -> str:
    if not isinstance(fs, LocalFileSystem):
        return str(fs.unstrip_protocol(name))
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ComposeError(
            f"{name!r}: its name is not UTF-8, and a manifest holds nothing else; rename it"
        ) from error
    return name
