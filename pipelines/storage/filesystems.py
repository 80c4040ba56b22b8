"""Opens the fsspec filesystem of a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from pipelines.errors import StorageError
from pipelines.storage.urls import redact_uri

Options = Mapping[str, Mapping[str, Any]]
"""fsspec options by protocol."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "az": "azure"}


def open_filesystem(
    url: str, options: Options, *, client_retries: bool = True
) -> tuple[AbstractFileSystem, str]:
    """Return the filesystem of a URL and the URL's path on it; listings are never cached.

    Args:
        url: a local path or any fsspec URL.
        options: fsspec options by protocol, secrets already resolved.
        client_retries: use both levels of retries of a client that has two, as S3's does. If the
            server does not respond, one read then takes 25 time-outs of 15 s, so pass False if
            the caller waits faults out itself.

    Raises:
        StorageError: the protocol is unknown, its extra is not installed, or the options are
            not accepted.
    """
    protocol = fsspec.utils.get_protocol(url)
    try:
        cls = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise StorageError(redact_uri(url), _how_to_install(protocol)) from error
    except ValueError as error:
        known = "a local path, s3://, gs://, az:// or another fsspec protocol"
        reason = f"the protocol {protocol!r} is not known; give {known}"
        raise StorageError(redact_uri(url), reason) from error
    names = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
    own = next((dict(options[name]) for name in (protocol, *names) if name in options), {})
    try:
        fs, path = fsspec.core.url_to_fs(url, **_with_defaults(cls, own, client_retries))
        if "s3" in cls.protocol:
            fs.connect()  # s3fs checks most of its options only on first use
    except (TypeError, ValueError) as error:
        reason = f"the options under storage.{protocol} are not accepted: {error}"
        raise StorageError(redact_uri(url), reason) from error
    return fs, path


def url_on(fs: AbstractFileSystem, path: str) -> str:
    """Return the full URL of a path on a filesystem; an absolute path for a local one."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def _with_defaults(
    cls: type[AbstractFileSystem], own: dict[str, Any], client_retries: bool
) -> dict[str, Any]:
    options = {"use_listings_cache": False, **own}
    if "s3" in cls.protocol:
        # Many stores reject the checksum trailer that botocore adds to each upload, and some send
        # the checksum of the whole object with a range, which then never matches.
        defaults: dict[str, Any] = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        if not client_retries:
            defaults["retries"] = {"total_max_attempts": 1}
        options["config_kwargs"] = defaults | own.get("config_kwargs", {})
    return options


def _how_to_install(protocol: str) -> str:
    if protocol in _EXTRAS:
        return f"{protocol}:// needs an extra: pip install 'uso-batch[{_EXTRAS[protocol]}]'"
    known = fsspec.registry.known_implementations.get(protocol, {})
    return f"{protocol}:// needs another library: {known.get('err', 'see the fsspec docs')}"
