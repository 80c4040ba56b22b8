"""How fetching goes wrong: for good (`RowFailedError`), or so that another try may help."""

from __future__ import annotations

from http import HTTPStatus

from pipelines.display import display_reference
from pipelines.failures import Failure, FailureCode, RowFailedError
from pipelines.rows import Reference
from pipelines.storage.urls import redact_uri

_TRANSIENT = frozenset({408, 425, 429}) | frozenset(range(500, 600)) - {501, 505}
_FORBIDDEN = frozenset({401, 402, 403, 407, 451})


class TransientFetchError(Exception):
    """One attempt failed in a way that another one may not.

    Attributes:
        reason: what happened, in words that follow the URI and a colon.
        retry_after_s: how long the server asks to be left alone, in seconds; None: it does not say.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason, retry_after_s)
        self.reason = reason
        self.retry_after_s = retry_after_s


def fetch_failed(code: FailureCode, reference: Reference, reason: str) -> RowFailedError:
    """The error that ends a row because of one of its references; shows no credentials."""
    uri = redact_uri(display_reference(reference))
    return RowFailedError(Failure(code, f"{uri}: {reason}", uri=uri))


def status_failed(
    status: int, uri: str, *, said: str = "", retry_after_s: float | None = None
) -> RowFailedError | TransientFetchError:
    """What an HTTP error status means for a fetch.

    Args:
        status: 400 or above.
        uri: what was asked for.
        said: more about the answer, in words.
        retry_after_s: from the answer's Retry-After header.
    """
    reason = f"the server answered HTTP {status}{_phrase(status)}{said}"
    if status in _TRANSIENT:
        return TransientFetchError(reason, retry_after_s)
    if status in _FORBIDDEN:
        return fetch_failed("uri_forbidden", uri, f"{reason}; check credentials and access rights")
    return fetch_failed("uri_not_found", uri, f"{reason}; check the URI")


def _phrase(status: int) -> str:
    return f" ({HTTPStatus(status).phrase})" if status in HTTPStatus._value2member_map_ else ""
