"""Errors of fetching: permanent (`RowFailedError`), or worth a retry (`TransientFetchError`)."""

from __future__ import annotations

from http import HTTPStatus

from pipelines.display import display_reference
from pipelines.failures import Failure, FailureCode, RowFailedError
from pipelines.rows import Reference
from pipelines.storage.urls import redact_uri

_TRANSIENT = frozenset({408, 425, 429}) | frozenset(range(500, 600)) - {501, 505}
_FORBIDDEN = frozenset({401, 402, 403, 407, 451})
_MOST_SHOWN = 2000  # characters of a URI


class TransientFetchError(Exception):
    """One attempt failed, and a retry may succeed.

    Attributes:
        reason: the cause, in words that follow the URI and a colon.
        retry_after_s: seconds that the server asks to wait; None if it does not ask.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason, retry_after_s)
        self.reason = reason
        self.retry_after_s = retry_after_s


class UnsupportedImageError(ValueError):
    """The file is whole, but not of a kind that is decoded; says the kind and the remedy."""


def fetch_failed(code: FailureCode, reference: Reference, reason: str) -> RowFailedError:
    """Return the error that fails a row because of one of its references; shows no credentials."""
    uri = redact_uri(display_reference(reference))
    if len(uri) > _MOST_SHOWN:
        uri = f"{uri[:_MOST_SHOWN]}… ({len(uri):,} characters)"
    return RowFailedError(Failure(code, f"{uri}: {reason}", uri=uri))


def status_failed(
    status: int, uri: str, *, retry_after_s: float | None = None
) -> RowFailedError | TransientFetchError:
    """Return the error of a fetch for an HTTP error status.

    Args:
        status: at least 400.
        uri: the requested URI.
        retry_after_s: from the response's Retry-After header.
    """
    reason = f"the server returned HTTP {status}{_phrase(status)}"
    if status in _TRANSIENT:
        return TransientFetchError(reason, retry_after_s)
    if status in _FORBIDDEN:
        return fetch_failed("uri_forbidden", uri, f"{reason}; check credentials and access rights")
    return fetch_failed("uri_not_found", uri, f"{reason}; check the URI")


def too_large(reference: Reference, max_bytes: int) -> RowFailedError:
    """Return the error for a file that is larger than `max_bytes`."""
    return fetch_failed(
        "uri_too_large",
        reference,
        f"the file is larger than {max_bytes / 1e6:g} MB (fetch.max_mb); make it smaller, or raise "
        "that limit",
    )


def _phrase(status: int) -> str:
    return f" ({HTTPStatus(status).phrase})" if status in HTTPStatus._value2member_map_ else ""
