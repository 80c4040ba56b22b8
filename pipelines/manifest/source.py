"""The bytes of one manifest file: local, or in ranges from any filesystem that fsspec knows.

Faults that pass (a store that is away for a minute) are waited out here, so that they do not end a
run of days; a file that is gone or is no longer the one that was found raises `ManifestError`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Literal, TypeVar, cast

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pipelines.errors import Fault, ManifestError
from pipelines.storage.faults import fault_of

logger = logging.getLogger(__name__)
T = TypeVar("T")
Format = Literal["parquet", "jsonl", "csv", "eval_json"]

PATIENCE_S = 120
_SMALL_BYTES = 32 * 2**20
_LINES_BYTES = 8 * 2**20
# The names under which filesystems say which version of a file this is.
_VERSION_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")

_REASONS: dict[Fault, str] = {
    "not_found": "does not exist; check the path, and the bucket or container",
    "denied": "access is denied; check the credentials or the file's permissions",
    "unavailable": "does not answer; check the endpoint and the network, then run again",
    "full": "the store is full",
    "unusable": "cannot be read",
}


@dataclass(frozen=True)
class ManifestFile:
    """One file of the manifest.

    Attributes:
        uri: for messages, without credentials.
        fs: the filesystem it is on.
        path: on `fs`.
        folder: what relative references in it are relative to; ends with `/`.
        format: how it is written.
        size: in bytes, when it was found.
        version: when it was looked at; changes when the file does, where the filesystem tells.
        holder: keeps a temporary copy alive for as long as the file is known.
    """

    uri: str
    fs: AbstractFileSystem
    path: str
    folder: str
    format: Format
    size: int
    version: str = ""
    holder: object = field(default=None, compare=False, repr=False)

    @property
    def local(self) -> bool:
        """Whether it is on this machine's disk."""
        return isinstance(self.fs, LocalFileSystem)

    def looked_at(self) -> ManifestFile:
        """The same file, with its size and version of now.

        Raises:
            ManifestError: it is gone or unreadable.
        """
        info = patiently(self.uri, lambda: self.fs.info(self.path))
        return replace(self, size=info["size"], version=_version(info))

    def check_unchanged(self) -> None:
        """Raise `ManifestError` if it is gone, or not the file any more that was looked at."""
        if self.looked_at() != self:
            raise ManifestError(
                self.uri,
                "changed after the run had looked at it; run the same command again: "
                "rows that are done are skipped",
            )

    def open(self) -> BinaryIO:
        """The file, seekable, for reading parts of it.

        Raises:
            ManifestError: it is gone or unreadable.
        """
        if self.local:
            return patiently(self.uri, lambda: cast(BinaryIO, self.fs.open(self.path, "rb")))
        return cast(BinaryIO, RemoteFile(self))

    def open_all(self) -> BinaryIO:
        """The file, seekable, for reading most of it: a small remote one comes in one request.

        Raises:
            ManifestError: it is gone or unreadable.
        """
        file = self.open()
        if self.local or self.size > _SMALL_BYTES:
            return file
        return io.BytesIO(file.read())

    def open_lines(self) -> BinaryIO:
        """The file, for reading from its beginning to its end; raises as `open_all`."""
        file = self.open_all()
        if isinstance(file, RemoteFile):
            return cast(BinaryIO, io.BufferedReader(file, _LINES_BYTES))
        return file


class RemoteFile(io.RawIOBase):
    """A file read in ranges, each its own request; no cache, because Parquet jumps about."""

    def __init__(self, file: ManifestFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position of the next read, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of the next read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end of the file.

        Raises:
            ManifestError: the store keeps failing, or the file is gone.
        """
        file, start = self._file, self._position
        left = max(0, file.size - start)
        count = left if size is None or size < 0 else min(size, left)
        if count == 0:
            return b""
        data = patiently(
            file.uri,
            lambda: cast(bytes, file.fs.cat_file(file.path, start=start, end=start + count)),
        )
        if len(data) != count:
            raise ManifestError(file.uri, "is shorter than it was; run the same command again")
        self._position += count
        return data

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any writable buffer)
        """As `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _version(info: Mapping[str, Any]) -> str:
    """What tells two versions of a file apart; empty where the filesystem says nothing."""
    return next((str(info[key]) for key in _VERSION_KEYS if info.get(key) is not None), "")


def patiently(uri: str, operation: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The result of `operation`, tried again for `patience_s` while its fault may pass.

    Raises:
        ManifestError: a fault of the storage, by kind and with its cause.
    """
    retrying = Retrying(
        stop=stop_after_delay(patience_s),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        retry=retry_if_exception(lambda error: fault_of(error) == "unavailable"),
        before_sleep=lambda _: logger.warning("manifest_unavailable uri=%s", uri),
        reraise=True,
    )
    try:
        return retrying(operation)
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise ManifestError(uri, f"{_REASONS[fault]} ({type(error).__name__})") from error
