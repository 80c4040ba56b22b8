"""One attempt to read a URI through fsspec: S3, Google Cloud Storage, Azure or Hugging Face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

from cachetools import LRUCache
from fsspec import AbstractFileSystem

from pipelines.errors import StorageError
from pipelines.fetch.deadline import Deadline, call_until
from pipelines.fetch.errors import TransientFetchError, fetch_failed, too_large
from pipelines.fetch.fetched import Fetched
from pipelines.storage.causes import cause_of
from pipelines.storage.faults import error_code, fault_of
from pipelines.storage.filesystems import Options, open_filesystem
from pipelines.storage.stored_file import version_of

PROTOCOLS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"})

T = TypeVar("T")

_QUOTE = '"'
_MAX_OPENED = 64  # buckets, containers or repositories at a time


class ObjectReader:
    """Reads objects of the stores in `PROTOCOLS`; safe to share between threads."""

    def __init__(
        self,
        options: Options,
        *,
        max_bytes: int,
        wants_stat: Callable[[str], bool] = lambda _scheme: False,
    ) -> None:
        """Create a reader; no store is contacted yet.

        Args:
            options: fsspec options by protocol, secrets resolved.
            max_bytes: maximum size of an object.
            wants_stat: True for a scheme whose objects have `Fetched.stat`, which takes a request.
        """
        self._options = options
        self._max_bytes = max_bytes
        self._wants_stat = wants_stat
        self._opening = threading.Lock()
        # fsspec may create a filesystem per thread; a single one shares its connections.
        self._opened: LRUCache[str, AbstractFileSystem] = LRUCache(_MAX_OPENED)

    def read(self, uri: str, deadline: Deadline) -> Fetched:
        """Return the object at `uri`.

        Raises:
            RowFailedError: the fetch failed permanently.
            TransientFetchError: a retry may succeed.
            DeadlineExceededError: the store did not respond in time.
        """
        _check_name(uri)
        data, marks = call_until(deadline, lambda: self._call(uri, self._read))
        if len(data) > self._max_bytes:
            raise too_large(uri, self._max_bytes)
        return Fetched(data, stat=marks)

    def look(self, uri: str, deadline: Deadline) -> str | None:
        """Return the marks of the object at `uri`, as `read` gives them; raises as `read` does."""
        _check_name(uri)
        return call_until(deadline, lambda: self._call(uri, self._look))

    def _read(self, filesystem: AbstractFileSystem, uri: str) -> tuple[bytes, str | None]:
        path, marks = _path(filesystem, uri), None
        if self._wants_stat(uri.partition(":")[0].lower()):
            # Before it is read: an object that is replaced in between then looks changed later.
            with suppress(OSError):
                marks = object_marks(filesystem.info(path))
        return self._head(filesystem, path), marks

    def _look(self, filesystem: AbstractFileSystem, uri: str) -> str | None:
        return object_marks(filesystem.info(_path(filesystem, uri)))

    def _call(self, uri: str, operation: Callable[[AbstractFileSystem, str], T]) -> T:
        try:
            return operation(self._filesystem(uri), uri)
        except StorageError as error:
            if error.fault == "unavailable":
                raise TransientFetchError(error.reason) from error
            raise fetch_failed("uri_refused", uri, error.reason) from error
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if fault == "unavailable":
                reason = f"the store did not deliver it ({cause_of(error)})"
                raise TransientFetchError(reason) from error
            code = error_code(error) or type(error).__name__
            if fault == "denied":
                reason = f"access is denied ({code}); check the credentials under storage:"
                raise fetch_failed("uri_forbidden", uri, reason) from error
            reason = f"it cannot be read ({code}); check the URI"
            raise fetch_failed("uri_not_found", uri, reason) from error

    def _filesystem(self, uri: str) -> AbstractFileSystem:
        scheme, _, rest = uri.partition("://")
        root = f"{scheme}://{rest.partition('/')[0]}"
        with self._opening:
            if root not in self._opened:
                self._opened[root], _ = open_filesystem(uri, self._options)
            return self._opened[root]

    def _head(self, filesystem: AbstractFileSystem, path: str) -> bytes:
        """Return the first `max_bytes + 1` bytes, in one request."""
        try:
            return cast(bytes, filesystem.cat_file(path, start=0, end=self._max_bytes + 1))
        except Exception as error:
            # Most stores reject a range of an empty object.
            if fault_of(error) == "unusable" and filesystem.info(path).get("size") == 0:
                return b""
            raise


def _check_name(uri: str) -> None:
    _, _, path = uri.partition("://")
    if "/" not in path.strip("/") and not uri.startswith("memory:"):
        reason = "it names no object in a bucket or container; check the URI"
        raise fetch_failed("uri_not_found", uri, reason)


def _path(filesystem: AbstractFileSystem, uri: str) -> str:
    return str(filesystem._strip_protocol(uri))  # noqa: SLF001


def object_marks(info: Mapping[str, Any]) -> str | None:
    """Return the size and the version of an object as its store describes it; None without one."""
    marks = version_of(info)
    return (
        f"{info['size']}-{marks.strip(_QUOTE)}" if marks and info.get("size") is not None else None
    )
