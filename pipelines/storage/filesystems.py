"""Opens the fsspec filesystem of a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from pipelines.errors import StorageError
from pipelines.storage.causes import cause_of
from pipelines.storage.clients import class_of, defaults_of, prepare
from pipelines.storage.faults import fault_of
from pipelines.storage.urls import redact_uri, url_problem

Options = Mapping[str, Mapping[str, Any]]
"""fsspec options by protocol."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("abfs", "abfss", "az"), "azure"
)


def open_filesystem(url: str, options: Options) -> tuple[AbstractFileSystem, str]:
    """Return the filesystem of a URL and the URL's path on it; listings are never cached.

    Each operation is one attempt: the retries of the clients themselves are off (see `clients`).

    Args:
        url: a local path or any fsspec URL.
        options: fsspec options by protocol, secrets already resolved.

    Raises:
        StorageError: the URL names no place, the protocol is unknown, its extra is not installed,
            the options are not accepted, or a store that is connected to at once (FTP, SFTP) cannot
            be reached.
    """
    problem = url_problem(url)
    if problem is not None:
        raise StorageError(redact_uri(url), problem)
    protocol = fsspec.utils.get_protocol(url)
    try:
        cls = class_of(protocol)
    except ImportError as error:
        raise StorageError(redact_uri(url), _how_to_install(protocol)) from error
    except ValueError as error:
        known = "a local path, s3://, gs://, az:// or another fsspec protocol"
        reason = f"the protocol {protocol!r} is not known; give {known}"
        raise StorageError(redact_uri(url), reason) from error
    names = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
    own = next((dict(options[name]) for name in (protocol, *names) if name in options), {})
    try:
        fs, path = _opened(cls, url, defaults_of(cls, own))
        prepare(fs)
    except Exception as error:
        raise _not_opened(url, protocol, error) from error
    return fs, path


def url_on(fs: AbstractFileSystem, path: str) -> str:
    """Return the full URL of a path on a filesystem; an absolute path for a local one."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def _opened(
    cls: type[AbstractFileSystem], url: str, options: dict[str, Any]
) -> tuple[AbstractFileSystem, str]:
    if "::" in url:
        fs, path = fsspec.core.url_to_fs(url, **options)
        return fs, path
    # As url_to_fs does, but with our class instead of the registered one.
    of_url = cls._get_kwargs_from_urls(url)
    return cls(**{**options, **of_url}), cls._strip_protocol(url)


def _not_opened(url: str, protocol: str, error: Exception) -> Exception:
    fault = fault_of(error)
    if fault in ("unavailable", "denied"):
        return StorageError(redact_uri(url), f"cannot be opened ({cause_of(error)})", fault)
    if fault is None and not isinstance(error, TypeError | ValueError):
        # Clients read odd URLs before they check them.
        return StorageError(redact_uri(url), f"cannot be opened ({cause_of(error)}); check the URL")
    said = error if isinstance(error, TypeError | ValueError) else cause_of(error)
    reason = f"the options under storage.{protocol} are not accepted: {said}"
    return StorageError(redact_uri(url), reason)


def _how_to_install(protocol: str) -> str:
    if protocol in _EXTRAS:
        return f"{protocol}:// needs an extra: pip install 'uso-batch[{_EXTRAS[protocol]}]'"
    known = known_implementations.get(protocol, {})
    return f"{protocol}:// needs another library: {known.get('err', 'see the fsspec docs')}"
