"""One file at any URL, as it was when it was found: reads it, and tells if it has changed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.reading import Reading

_SMALL_BYTES = 32 * 2**20
_LINES_BYTES = 8 * 2**20
# Filesystems describe a file's version under different keys. The first one that is present counts:
# marks of the content come before times, which may change while the content stays.
_CONTENT_KEYS = ("ETag", "etag", "md5Hash", "blob_id")
_TIME_KEYS = ("LastModified", "last_modified", "mtime", "updated", "created")
_NS_PER_S = 10**9


class ShortReadError(OSError):
    """A file is shorter than it was, or another one, since its size was read."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file, as its filesystem described it when it was found.

    Every method raises the error of `reading` if the file is gone or cannot be read.

    Attributes:
        uri: the URI for messages, without credentials.
        fs: the file's filesystem.
        path: the file's path on `fs`.
        size: in bytes.
        version: a text that changes when the file does; empty if the filesystem has none.
        reading: the handling of faults.
        inside: the path below the folder that was searched; empty if the file itself was named, or
            matched by a glob.
        url_of: returns the URL of a path on `fs`, in the form of the URL that was searched.
        mark: a text that no other content at this path ever gets, not even one that is put back;
            empty if the filesystem cannot tell. It may change while the content stays.
    """

    uri: str
    fs: AbstractFileSystem
    path: str
    size: int
    version: str
    reading: Reading = field(compare=False, repr=False)
    inside: str = ""
    url_of: Callable[[str], str] = field(default=str, compare=False, repr=False)
    mark: str = field(default="", compare=False)

    @property
    def is_local(self) -> bool:
        """True if the file is on this machine's disk."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def url(self) -> str:
        """The full URL, which may hold credentials; an absolute path for a local file."""
        return self.url_of(self.path)

    def looked_at(self) -> StoredFile:
        """Return the same file with its current size and version."""
        info = self.reading.call(self.uri, lambda: self.fs.info(self.path))
        size, version, mark = info["size"], version_of(info), mark_of(self.fs, info)
        return replace(self, size=size, version=version, mark=mark)

    def read_range(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, excluded, in one request."""
        if end <= start:
            return b""
        # Synchronous filesystems read ranges of an open file, and by default megabytes ahead.
        how = {} if self.fs.async_impl else {"cache_type": "none"}
        data = self.reading.call(
            self.uri,
            lambda: cast(bytes, self.fs.cat_file(self.path, start=start, end=end, **how)),
        )
        if len(data) != end - start:
            short = ShortReadError(f"{len(data)} bytes instead of {end - start}")
            raise self.reading.error_of(self.uri, "unusable", short) from short
        return data

    def copy_to(self, target: Path) -> None:
        """Copy the whole file to a local path; of a large remote one, range after range.

        A fault then costs one range, and not all that was copied before.
        """
        if self.is_local or self.size <= _SMALL_BYTES:
            self.reading.call(self.uri, lambda: self.fs.get_file(self.path, str(target)))
            return
        with target.open("wb") as copy:
            for start in range(0, self.size, _SMALL_BYTES):
                copy.write(self.read_range(start, min(start + _SMALL_BYTES, self.size)))
        if self.looked_at() != self:
            changed = ShortReadError("changed while it was copied")
            raise self.reading.error_of(self.uri, "unusable", changed)

    def open(self) -> BinaryIO:
        """Open the file, seekable, to read parts of it."""
        if self.is_local:
            return self.reading.call(
                self.uri, lambda: cast(BinaryIO, self.fs.open(self.path, "rb"))
            )
        return cast(BinaryIO, RangedFile(self.read_range, self.size))

    def open_all(self) -> BinaryIO:
        """Open the file, seekable, to read most of it; a small remote one takes one request."""
        file = self.open()
        if self.is_local or self.size > _SMALL_BYTES:
            return file
        return io.BytesIO(file.read())

    def open_lines(self) -> BinaryIO:
        """Open the file to read it from beginning to end."""
        file = self.open_all()
        if isinstance(file, RangedFile):
            return cast(BinaryIO, io.BufferedReader(file, _LINES_BYTES))
        return file


def version_of(info: Mapping[str, Any]) -> str:
    """Return a text that changes when the described file does; empty if there is none."""
    return _first_of(info, _CONTENT_KEYS) or _first_of(info, _TIME_KEYS)


def _first_of(info: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((str(info[key]) for key in keys if info.get(key) is not None), "")


def mark_of(fs: AbstractFileSystem, info: Mapping[str, Any]) -> str:
    """Return the mark of the described file, see `StoredFile`; empty if there is none."""
    if not isinstance(fs, LocalFileSystem):
        content, time = _first_of(info, _CONTENT_KEYS), _first_of(info, _TIME_KEYS)
        return f"{content} {time}" if content and time else ""
    try:
        found = os.stat(info["name"])  # not of a link, but of its file
    except OSError:  # the reader says why
        return ""
    # The time of the last change cannot be set. Whole seconds are too coarse to tell two changes.
    if found.st_ctime_ns % _NS_PER_S == 0:
        return ""
    return f"{found.st_ino} {found.st_ctime_ns}"
