"""Finds files at any URL: on a local disk or any filesystem that fsspec supports.

All inputs of a run are listed here: manifests, weights, folders of images. (A run's own output is a
`Storage`; the images that rows refer to are fetched by `pipelines.fetch`.) Faults that may pass are
waited out. A fault that stays becomes an error of the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from fsspec.implementations.local import LocalFileSystem

from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.globs import Glob, glob_of
from pipelines.storage.listing import files_found_below, glob_matches, is_linked_folder
from pipelines.storage.reading import Reading
from pipelines.storage.stored_file import StoredFile, mark_of, version_of
from pipelines.storage.urls import UrlForm, redact_uri

T = TypeVar("T")


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
            mark=mark_of(self._fs, info),
            reading=self._reading,
            inside=inside,
            url_of=self._url_of,
        )

    def _call(self, operation: Callable[[], T]) -> T:
        return self._reading.call(self.uri, operation)
