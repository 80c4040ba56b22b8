"""Lists the objects of a store that is not a local disk."""

from __future__ import annotations

from collections.abc import Iterator

from fsspec import AbstractFileSystem

from pipelines.storage.faults import MISSING_BUCKETS, error_code


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
        if error_code(error) in MISSING_BUCKETS:
            raise
        return
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
        if error_code(error) in MISSING_BUCKETS:
            raise
        return
    for info in found:
        if info["type"] == "directory":
            yield str(info["name"]).rstrip("/").rsplit("/", 1)[-1]
