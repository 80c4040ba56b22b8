"""Reads local files, if the run's policy allows it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.errors import fetch_failed, too_large
from pipelines.fetch.fetched import Fetched
from pipelines.storage.faults import fault_of
from uso_core.local_path import local_path

# Faults of the machine, not of the path: a network disk that is away, or too many open files.
_OF_THE_DISK = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE})


class LocalReader:
    """Reads plain paths and `file:` URIs below the allowed folders."""

    def __init__(self, config: FetchConfig) -> None:
        self._allowed = config.allow_local_files
        self._roots = [local_path(root).resolve() for root in config.local_roots]
        self._max_bytes = int(config.max_mb * 1e6)

    def read(self, uri: str) -> Fetched:
        """Return the file at `uri`, a path or a `file:` URI.

        Raises:
            RowFailedError: it is not allowed, missing, not a file, not readable or too large.
        """
        try:
            path = self._checked(uri)
            # Neither follow a link that was created since, nor wait for the writer of a FIFO.
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(file, "rb") as stream:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise fetch_failed("uri_not_found", uri, "it is not a file")
                data = stream.read(self._max_bytes + 1)
        except OSError as error:
            raise _cannot_read(uri, error) from error
        except ValueError as error:  # a NUL in the path
            reason = f"the file cannot be read ({error}); check the path"
            raise fetch_failed("uri_not_found", uri, reason) from error
        if len(data) > self._max_bytes:
            raise too_large(uri, self._max_bytes)
        return Fetched(data, stat=_marks(found))

    def look(self, uri: str) -> str:
        """Return the marks of the file at `uri`, as `read` gives them; raises as `read` does."""
        try:
            # Without folders to keep to, links need no check: this takes microseconds.
            path = self._checked(uri) if self._roots or not self._allowed else _path_of(uri)
            return _marks(os.stat(path))
        except OSError as error:
            raise _cannot_read(uri, error) from error
        except ValueError as error:  # a NUL in the path
            raise fetch_failed(
                "uri_not_found", uri, f"no file can have this name ({error})"
            ) from error

    def exists(self, uri: str) -> bool:
        """Return True if there is a file at `uri`, whatever the policy says about reading it."""
        try:
            return os.path.isfile(_path_of(uri))
        except (RowFailedError, ValueError):  # another host; a NUL in the path
            return False

    def _checked(self, uri: str) -> Path:
        """Return the path with every symbolic link resolved, checked against the policy."""
        if not self._allowed:
            raise fetch_failed(
                "uri_refused",
                uri,
                "local files are disabled; set fetch.allow_local_files: true to enable them",
            )
        path = Path(os.path.realpath(_path_of(uri)))  # Path.resolve raises on a loop of links
        if self._roots and not any(path.is_relative_to(root) for root in self._roots):
            raise fetch_failed("uri_refused", uri, "it is outside the folders of fetch.local_roots")
        return path


def _marks(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}"


def _cannot_read(uri: str, error: OSError) -> RowFailedError:
    if isinstance(error, PermissionError):
        reason = "the file cannot be read (permission denied); check its permissions"
        return fetch_failed("uri_forbidden", uri, reason)
    reason = f"the file cannot be read ({error.strerror or error})"
    if error.errno in _OF_THE_DISK or fault_of(error) == "unavailable":
        return fetch_failed("uri_timeout", uri, f"{reason}; check the disk that it is on")
    return fetch_failed("uri_not_found", uri, f"{reason}; check the path")


def _path_of(uri: str) -> str:
    if not uri.lower().startswith("file:"):
        return uri
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise fetch_failed("uri_refused", uri, "a file: URI cannot name another host")
    # fsspec writes file: URIs without percent-encoding, so a % may be part of the name.
    raw = uri[len("file:") :]
    raw = raw[len("//") + len(parts.netloc) :] if raw.startswith("//") else raw
    return raw if os.path.exists(raw) else unquote(raw)
