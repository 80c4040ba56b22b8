"""A folder on any filesystem that fsspec supports, to write to and read back.

Writes are atomic, lists are never cached, and every fault that stays is a `StorageError` that names
the URI without credentials and the remedy. Every operation is idempotent, so faults that may pass
(a slow-down, a cut connection, a server that is down for a minute) are waited out first. A store
that is gone for good is waited for once, not by each operation anew.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from fsspec.implementations.local import LocalFileSystem

from pipelines.errors import Fault, StorageError
from pipelines.storage.faults import error_code, fault_of
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.local_files import copy_file, files_below, is_leftover, write_file
from pipelines.storage.local_root import LocalRoot
from pipelines.storage.outage import Outage
from pipelines.storage.patience import Patience
from pipelines.storage.ranged_file import RangedFile
from pipelines.storage.urls import redact_uri

logger = logging.getLogger(__name__)
T = TypeVar("T")

_PUT_BYTES = 512 * 2**20
_PUT_S = 60
_SLOWEST_PUT = 2**20  # bytes per second
_MOST_SHOWN = 300

_WHAT_TO_DO: dict[Fault, str] = {
    "not_found": "check that the path, and the bucket or container, exist",
    "denied": "check the credentials (keys, expiry, policy) or the folder's permissions",
    "unavailable": "check the endpoint and the network; everything stored so far is kept, so the "
    "same command resumes",
    "full": "free some space or raise the quota, then run the same command again",
    "unusable": "see the cause above",
}


class Storage:
    """A folder; paths are relative to it, with `/` between their parts.

    Safe to share between threads, and picklable: unpickling opens the filesystem anew. A pickle
    contains the options, so it holds secrets.
    """

    def __init__(
        self, url: str, options: Options, *, patience_s: float = 120, create: bool = True
    ) -> None:
        self._url = url
        self._create = create
        self._options = options
        self._patience = Patience(patience_s)
        self._patience_s = patience_s
        self._outage = Outage(patience_s)
        self._fs, root = open_filesystem(url, options, client_retries=False)
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._public = self._root if self._local else redact_uri(url).rstrip("/")
        self._local_root = LocalRoot(self._root, create=create) if self._local else None

    @classmethod
    def at(
        cls,
        url: str,
        options: Options | None = None,
        *,
        patience_s: float = 120,
        create: bool = True,
    ) -> Storage:
        """Return the folder at `url`; nothing is created or contacted yet.

        Args:
            url: a local path or any fsspec URL.
            options: fsspec options by protocol, secrets already resolved.
            patience_s: seconds for which faults that may pass are waited out: by each operation,
                and by all of them together while none succeeds.
            create: True if the first write may create a local folder. After it, a local folder that
                is gone, or is another one, is an error of each further write.

        Raises:
            StorageError: the URL's filesystem cannot be used (see `open_filesystem`).
        """
        return cls(url, options or {}, patience_s=patience_s, create=create)

    def __reduce__(self) -> tuple[Callable[..., Storage], tuple[Any, ...]]:
        return _reopen, (type(self), self._url, self._options, self._patience_s, self._create)

    def __repr__(self) -> str:
        return f"Storage({self._public!r})"

    def uri(self, path: str = "") -> str:
        """Return the URI of a path, without credentials; an absolute path on a local disk."""
        return f"{self._public}/{path}" if path else self._public

    def write(self, path: str, data: bytes | memoryview) -> str:
        """Make `data` the whole content of `path`; if this raises, nothing has changed.

        On a local disk, a temporary file in the same folder is synced and renamed. Other stores get
        one PUT, or beyond 1 GB a multipart upload, which is just as atomic.

        Returns:
            The URI, as `uri` gives it.
        """
        if self._local_root is not None:
            self._local_root.check()
            self._call(path, lambda: write_file(Path(self._full(path)), data))
            self._local_root.written()
        else:
            chunks = {"chunksize": _PUT_BYTES} if "s3" in self._fs.protocol else {}
            options = chunks | self._put_timeout(len(data))
            self._call(path, lambda: self._fs.pipe_file(self._full(path), bytes(data), **options))
        return self.uri(path)

    def write_from(self, path: str, source: Path) -> str:
        """Do as `write`, with the content of a local file, which is not held in memory."""
        if self._local_root is not None:
            self._local_root.check()
            self._call(path, lambda: copy_file(source, Path(self._full(path))))
            self._local_root.written()
        else:
            options = self._put_timeout(source.stat().st_size)
            self._call(path, lambda: self._fs.put_file(str(source), self._full(path), **options))
        return self.uri(path)

    def read(self, path: str) -> bytes:
        """Return the whole content of `path`; the fault is `not_found` if it does not exist."""
        return self._call(path, lambda: cast(bytes, self._fs.cat_file(self._full(path))))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes of `path` from `start` to `end`, excluded."""
        full = self._full(path)
        return self._call(path, lambda: cast(bytes, self._fs.cat_file(full, start=start, end=end)))

    def open(self, path: str, num_bytes: int) -> RangedFile:
        """Open `path`, which has `num_bytes`, to read parts of it; nothing is contacted yet."""
        return RangedFile(lambda start, end: self.read_range(path, start, end), num_bytes)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the sizes in bytes, by path, of all files below the folder `prefix`.

        A folder that does not exist is empty. Leftovers of writers that were killed are not listed.
        """
        found = self._call(prefix, lambda: self._find(prefix))
        return {path: found[path] for path in sorted(found) if not is_leftover(path)}

    def list(self, prefix: str) -> list[str]:
        """Return the paths of all files below the folder `prefix`, sorted; see `sizes`."""
        return list(self.sizes(prefix))

    def exists(self, path: str) -> bool:
        """Return True if there is a file or folder at `path`."""
        try:
            self._call(path, lambda: self._fs.info(self._full(path)))
        except StorageError as error:
            if error.fault == "not_found":
                return False
            raise
        return True

    def delete(self, path: str) -> None:
        """Remove the file at `path`, if it exists."""
        try:
            self._call(path, lambda: self._fs.rm_file(self._full(path)))
        except StorageError as error:
            if error.fault != "not_found":
                raise

    def remove_leftovers(self, prefix: str) -> int:
        """Remove the temporary files that killed writers left below `prefix`; returns the count."""
        if not self._local:
            return 0
        found = self._call(prefix, lambda: self._find(prefix))
        left = [path for path in found if is_leftover(path)]
        for path in left:
            self.delete(path)
        return len(left)

    def check_writable(self) -> None:
        """Write, read and delete a small object, so that a run fails before it costs anything.

        Raises:
            StorageError: the bucket does not exist, access is denied, the disk is full, …
        """
        path = f"run/probe-{secrets.token_hex(8)}"
        probe = path.encode()
        self.write(path, probe)
        if self.read(path) != probe:
            raise StorageError(self.uri(path), "a test object read back with different content")
        self.delete(path)

    def _full(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a path inside a storage folder")
        return f"{self._root}/{path}".rstrip("/")

    def _find(self, prefix: str) -> dict[str, int]:
        """Return the sizes of all files below a folder, including leftovers, by path."""
        folder, start = self._full(prefix) + "/", len(self._root) + 1
        # fsspec takes a local folder that cannot be listed for an empty one.
        found = files_below(folder) if self._local else self._objects_below(folder)
        return {name[start:]: num_bytes for name, num_bytes in found}

    def _objects_below(self, folder: str) -> Iterator[tuple[str, int]]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.find(folder, detail=True)
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
            return
        for name, info in found.items():
            # An empty object whose name ends with a slash stands for a folder.
            if info["type"] == "file" and name.startswith(folder) and not name.endswith("/"):
                yield name, info["size"]

    def _put_timeout(self, num_bytes: int) -> dict[str, float]:
        """Limit the time of a PUT: a client that waits for 100-continue waits for ever."""
        if not self._fs.async_impl:
            return {}
        return {"timeout": min(_PUT_S, self._patience_s) + num_bytes / _SLOWEST_PUT}

    def _call(self, path: str, operation: Callable[[], T]) -> T:
        try:
            return self._patience.call(
                lambda: self._attempt(path, operation),
                give_up=lambda: self._outage.over_patience,
            )
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise StorageError(self.uri(path), self._reason(fault, error), fault) from error

    def _attempt(self, path: str, operation: Callable[[], T]) -> T:
        """Do `operation` once and note its success or failure for the outage."""
        if self._outage.given_up:
            reason = f"unavailable for {self._patience_s:g} s; {_WHAT_TO_DO['unavailable']}"
            raise StorageError(self.uri(path), reason, "unavailable")
        started = time.monotonic()
        try:
            result = operation()
        except Exception as error:
            fault = fault_of(error)
            if fault == "unavailable":
                self._outage.failed(started)
                logger.warning(
                    "storage_unavailable uri=%s error=%s", self.uri(path), type(error).__name__
                )
            elif fault is not None:
                self._outage.worked()
            raise
        self._outage.worked()
        return result

    def _reason(self, fault: Fault, error: Exception) -> str:
        code = error_code(error)
        if code == "NoSuchBucket":
            return "the bucket does not exist; create it or correct the URL"
        cause = " ".join(str(error).split()) or type(error).__name__
        for secret in _secret_values(self._options):
            cause = cause.replace(secret, "***")
        if len(cause) > _MOST_SHOWN:  # some errors quote the server's response
            cause = f"{cause[:_MOST_SHOWN]}…"
        named = type(error).__name__ if code is None else code
        return f"{fault.replace('_', ' ')} ({named}: {cause}); {_WHAT_TO_DO[fault]}"


def _reopen(
    cls: type[Storage], url: str, options: Options, patience_s: float, create: bool
) -> Storage:
    return cls(url, options, patience_s=patience_s, create=create)


def _secret_values(options: Options) -> list[str]:
    return [
        value
        for own in options.values()
        for name, value in own.items()
        if isinstance(value, str) and len(value) >= 4 and not name.endswith(("url", "region"))
    ]
