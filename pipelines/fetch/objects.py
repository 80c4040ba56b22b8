"""One attempt to read a URI through fsspec: S3, Google Cloud Storage, Azure or Hugging Face."""

from __future__ import annotations

import threading
from typing import cast

from cachetools import LRUCache
from fsspec import AbstractFileSystem

from pipelines.errors import StorageError
from pipelines.fetch.deadline import Deadline, call_until
from pipelines.fetch.errors import TransientFetchError, fetch_failed, too_large
from pipelines.fetch.fetched import Fetched
from pipelines.storage.causes import cause_of
from pipelines.storage.faults import error_code, fault_of
from pipelines.storage.filesystems import Options, open_filesystem

PROTOCOLS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory"})

_MAX_OPENED = 64  # buckets, containers or repositories at a time


class ObjectReader:
    """Reads objects of the stores in `PROTOCOLS`; safe to share between threads."""

    def __init__(self, options: Options, *, max_bytes: int) -> None:
        """Create a reader; no store is contacted yet.

        Args:
            options: fsspec options by protocol, secrets resolved.
            max_bytes: maximum size of an object.
        """
        self._options = options
        self._max_bytes = max_bytes
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
        _, _, path = uri.partition("://")
        if "/" not in path.strip("/") and not uri.startswith("memory:"):
            reason = "it names no object in a bucket or container; check the URI"
            raise fetch_failed("uri_not_found", uri, reason)
        data = call_until(deadline, lambda: self._read(uri))
        if len(data) > self._max_bytes:
            raise too_large(uri, self._max_bytes)
        return Fetched(data)

    def _read(self, uri: str) -> bytes:
        try:
            filesystem = self._filesystem(uri)
            path = filesystem._strip_protocol(uri)  # noqa: SLF001
            return self._head(filesystem, path)
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
