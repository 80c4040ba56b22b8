"""Which images there are: in folders, in buckets, behind globs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.compose.error import ComposeError
from pipelines.manifest.source import patiently
from pipelines.storage.storage import Options, open_filesystem, public_uri

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def find_images(places: Sequence[str], options: Options) -> list[str]:
    """Absolute URIs (or absolute local paths) of the images at `places`, in their order.

    What a folder (with its subfolders) or a glob gives is sorted by path; of it only files that
    end in one of `ENDINGS` are taken, and none below a name that starts with a dot. A single file,
    and an http(s) URL, is taken as it is.

    Args:
        places: files, folders, globs, local or at any fsspec URL.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ComposeError: there is no image at one of the places.
        ManifestError: a place does not exist or cannot be listed.
        StorageError: a URL's filesystem cannot be used.
    """
    return [uri for place in places for uri in _find(place, options)]


def _find(place: str, options: Options) -> list[str]:
    if place.startswith(("http://", "https://")):
        return [place]  # web servers give no lists
    fs, path = open_filesystem(place, options)
    local = isinstance(fs, LocalFileSystem)
    if not (local and Path(path).exists()) and any(character in path for character in "*?["):
        found = list(_matches(place, fs, path))
    else:
        info = patiently(public_uri(place), lambda: fs.info(path))
        if info["type"] != "directory":
            return [_uri(fs, info["name"])]
        found = list(_below(place, fs, path))
    if not found:
        wanted = ", ".join(ENDINGS)
        raise ComposeError(f"{public_uri(place)}: no image is there (a file that ends in {wanted})")
    return [_uri(fs, name) for name in sorted(found)]


def _matches(place: str, fs: AbstractFileSystem, pattern: str) -> Iterator[str]:
    hits: dict[str, dict[str, Any]] = patiently(
        public_uri(place), lambda: fs.glob(pattern, detail=True)
    )
    for name, info in hits.items():
        if info["type"] == "directory":
            yield from _below(place, fs, name)
        elif _is_image(PurePosixPath(name).name):
            yield name


def _below(place: str, fs: AbstractFileSystem, folder: str) -> Iterator[str]:
    names: list[str] = patiently(public_uri(place), lambda: fs.find(folder))
    root = folder.rstrip("/") + "/"
    return (name for name in names if _is_image(name.removeprefix(root)))


def _is_image(relative: str) -> bool:
    hidden = relative.startswith(".") or "/." in relative
    return relative.lower().endswith(ENDINGS) and not hidden


def _uri(fs: AbstractFileSystem, name: str) -> str:
    return name if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(name))
