"""Lists folders and globs of filesystems, and follows the links of a local disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from glob import has_magic
from pathlib import PurePath
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.storage.faults import MissingBucketError, fault_of, missing_bucket


def objects_below(fs: AbstractFileSystem, folder: str) -> Iterator[tuple[str, int]]:
    """Yield name and size in bytes of each object below a folder, whose name ends with a slash.

    A folder that does not exist yields nothing.

    Raises:
        FileNotFoundError: the bucket does not exist.
    """
    fs.invalidate_cache()
    try:
        found = fs.find(folder, detail=True)
    except FileNotFoundError as error:
        if missing_bucket(error):
            raise
        found = {}
    if not found:
        check_bucket(fs, folder)
    for name, info in found.items():
        # An empty object whose name ends with a slash stands for a folder.
        if info["type"] == "file" and name.startswith(folder) and not name.endswith("/"):
            yield name, info["size"]


def folders_in(fs: AbstractFileSystem, folder: str) -> Iterator[str]:
    """Yield the name of each folder in a folder; raises as `objects_below`."""
    fs.invalidate_cache()
    try:
        found = fs.ls(folder, detail=True)
    except FileNotFoundError as error:
        if missing_bucket(error):
            raise
        found = []
    if not found:
        check_bucket(fs, folder)
    for info in found:
        if info["type"] == "directory":
            yield str(info["name"]).rstrip("/").rsplit("/", 1)[-1]


def glob_matches(fs: AbstractFileSystem, pattern: str) -> dict[str, Any]:
    """Return what a glob matches, with the details of each; raises as `objects_below`."""
    try:
        found = cast(dict[str, Any], fs.glob(pattern, detail=True))
    except FileNotFoundError:
        found = {}
    if not found:
        check_bucket(fs, pattern)
    return found


def files_found_below(
    fs: AbstractFileSystem, folder: str, inside: str = ""
) -> Iterator[Mapping[str, Any]]:
    """Yield the details of each file below a folder, or of the file at its path.

    Links of a local disk count as what they lead to, except those to a folder around them, which
    would never end. A link that leads nowhere counts as a file, so that reading it reports it.

    Args:
        fs: the filesystem.
        folder: the path of the folder.
        inside: the folder that is searched, if `folder` is one that was found in it.
    """
    if not isinstance(fs, LocalFileSystem):
        yield from fs.find(folder, detail=True).values()
        return
    real = os.path.realpath(folder)
    around = [os.path.realpath(inside)] if inside else []
    if not _is_around(real, around):
        yield from _followed(fs, folder, [*around, real])


def is_linked_folder(info: Mapping[str, Any]) -> bool:
    """Return True for the details of a link of a local disk that leads to a folder."""
    return bool(info.get("islink")) and os.path.isdir(info["name"])


def _followed(fs: LocalFileSystem, folder: str, above: list[str]) -> Iterator[Mapping[str, Any]]:
    for path, info in fs.find(folder, detail=True).items():
        if not info.get("islink"):
            yield info
        elif not os.path.isdir(path):
            yield {**info, "type": "file"}
        elif not _is_around(real := os.path.realpath(path), above):
            yield from _followed(fs, path, [*above, real])


def _is_around(folder: str, others: list[str]) -> bool:
    return any(PurePath(other).is_relative_to(folder) for other in others)


def check_bucket(fs: AbstractFileSystem, path: str) -> None:
    """Raise if the bucket of a path is missing; for stores whose clients list it as empty.

    A look that is not allowed or not understood says nothing.

    Raises:
        MissingBucketError: the bucket does not exist.
    """
    name = path.lstrip("/").partition("/")[0]
    if not name or has_magic(name):
        return
    try:
        if "gs" in fs.protocol:
            # `info` asks for the bucket itself, which a reader of its objects may not be allowed.
            fs.call("GET", "b/{}/o", name, maxResults=1, json_out=True)
        elif "abfs" in fs.protocol:
            fs.info(name)
    except FileNotFoundError:
        kind = "bucket" if "gs" in fs.protocol else "container"
        raise MissingBucketError(name, kind) from None  # whose message says less
    except Exception as error:
        if fault_of(error) in ("denied", "unusable"):
            return
        raise
