"""Finds and reads files at any URL: on a local disk or any filesystem that fsspec supports.

All inputs of a run are listed and read here: manifests, weights, folders of images. (A run's own
output is a `Storage`; the images that rows refer to are fetched by `pipelines.fetch`.) Faults that
may pass are waited out. A fault that stays becomes an error of the caller's choice.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.errors import Fault
from pipelines.storage.faults import fault_of
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.globs import Glob, glob_of
from pipelines.storage.listing import files_found_below, glob_matches, is_linked_folder
from pipelines.storage.patience import Patience
from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.urls import UrlForm, redact_uri

T = TypeVar("T")
ErrorOf = Callable[[str, Fault, Exception], Exception]
"""Creates the error to raise from the URI concerned, the fault and its cause."""

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
class Reading:
    """A reader's handling of faults.

    Attributes:
        error_of: creates the error for a fault that stays.
        patience: limits of the retries for a fault that may pass.
        on_wait: called with the URI and the error before each wait.
    """

    error_of: ErrorOf
    patience: Patience = field(default_factory=Patience)
    on_wait: Callable[[str, BaseException], None] = lambda _uri, _error: None

    def call(self, uri: str, operation: Callable[[], T]) -> T:
        """Return the result of `operation` on `uri`; errors that are not faults pass through."""
        try:
            return self.patience.call(operation, on_wait=lambda e: self.on_wait(uri, e))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise self.error_of(uri, fault, error) from error

    def exists(self, uri: str, look: Callable[[], object]) -> bool:
        """Return False if `look` finds nothing at `uri`, or may not look; outages raise."""
        try:
            self.patience.call(look, on_wait=lambda e: self.on_wait(uri, e))
        except (ValueError, NotImplementedError):  # no name that this filesystem can have
            return False
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if fault == "unavailable":
                raise self.error_of(uri, fault, error) from error
            return False
        return True


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
        size, version, mark = info["size"], version_of(info), _mark_of(self.fs, info)
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


@dataclass(frozen=True, slots=True)
class Found:
    """The files at a place.

    Attributes:
        kind: the kind of the place.
        files: sorted by path; for a glob, in the order of its sorted matches.
        folder: the path of the folder that was searched: the folder itself, the folder of the file,
            or the part of the glob before its first pattern.
    """

    kind: Literal["file", "folder", "glob"]
    files: list[StoredFile]
    folder: str


class Place:
    """A URL that names a file, a folder or a glob; each search lists its filesystem once.

    Attributes:
        uri: the URL as given, without credentials.
        path: its path on the filesystem.
    """

    def __init__(self, url: str, options: Options, reading: Reading) -> None:
        """Open the filesystem of `url`; nothing is listed yet.

        Args:
            url: a local path or any fsspec URL.
            options: fsspec options by protocol, secrets resolved.
            reading: the handling of faults.

        Raises:
            StorageError: the URL's filesystem cannot be used.
        """
        self.uri = redact_uri(url)
        self._fs, self.path = open_filesystem(url, options)
        self._reading = reading
        self._url_of: Callable[[str], str] = UrlForm(url, self.path).url_of
        if isinstance(self._fs, LocalFileSystem):
            self._url_of = str
        elif "::" in url or url.startswith("memory:"):
            self._url_of = self._fs.unstrip_protocol

    def find(self) -> Found:
        """Find the file, the files below the folder, or what the glob matches and holds below.

        A file or folder whose name has the characters of a glob is found by its name.

        Raises:
            Exception: the error of `reading`: nothing exists here, or it cannot be listed.
        """
        glob = glob_of(self.path, self._exists)
        if glob is not None:
            return Found("glob", list(self._matches(glob)), glob.folder)
        file = self.file()
        if file is None:
            return Found("folder", self.below(), self.path.rstrip("/"))
        return Found("file", [file], file.path.rpartition("/")[0])

    def file(self) -> StoredFile | None:
        """Return the file that the URL names, or None if it names a folder; raises as `find`."""
        info = self._call(lambda: self._fs.info(self.path))
        return None if info["type"] == "directory" else self._stored(info)

    def below(self) -> list[StoredFile]:
        """Return the files below the folder, sorted by path; a file yields itself."""
        return list(self._below(self.path))

    def copy_to(self, target: Path) -> None:
        """Copy the file that the URL names to a local path, without looking at it first."""
        self._call(lambda: self._fs.get_file(self.path, str(target)))

    def _exists(self, path: str) -> bool:
        return self._reading.exists(self.uri, lambda: self._fs.info(path))

    def _matches(self, glob: Glob) -> Iterator[StoredFile]:
        hits = self._call(lambda: glob_matches(self._fs, glob.pattern))
        for path, info in sorted(hits.items()):
            if info["type"] == "directory" or is_linked_folder(info):
                yield from self._below(path, glob.folder)
            else:
                yield self._stored(info)

    def _below(self, folder: str, searched: str = "") -> Iterator[StoredFile]:
        hits = self._call(lambda: list(files_found_below(self._fs, folder, searched)))
        root = folder.rstrip("/")
        for info in sorted(hits, key=lambda info: str(info["name"])):
            path = info["name"]
            # An empty object whose name ends with a slash stands for a folder.
            if info["type"] == "file" and not path.endswith("/"):
                inside = "" if path == root else path.removeprefix(f"{root}/")
                yield self._stored(info, inside)

    def _stored(self, info: Mapping[str, Any], inside: str = "") -> StoredFile:
        path = info["name"]
        return StoredFile(
            uri=redact_uri(self._url_of(path)),
            fs=self._fs,
            path=path,
            size=info["size"],
            version=version_of(info),
            mark=_mark_of(self._fs, info),
            reading=self._reading,
            inside=inside,
            url_of=self._url_of,
        )

    def _call(self, operation: Callable[[], T]) -> T:
        return self._reading.call(self.uri, operation)


def version_of(info: Mapping[str, Any]) -> str:
    """Return a text that changes when the described file does; empty if there is none."""
    return _first_of(info, _CONTENT_KEYS) or _first_of(info, _TIME_KEYS)


def _first_of(info: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((str(info[key]) for key in keys if info.get(key) is not None), "")


def _mark_of(fs: AbstractFileSystem, info: Mapping[str, Any]) -> str:
    """Return the mark of a file, see `StoredFile`."""
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
