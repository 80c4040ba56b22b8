"""Classifies storage errors by their type, errno or HTTP status; never by their text.

fsspec's filesystems raise `OSError`s, but let some errors of the libraries below them through.
Those libraries are optional, so their classes are matched by name.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
from collections.abc import Iterator

from pipelines.errors import Fault

_LIBRARY_ERRORS = frozenset(
    {
        "aiohttp.client_exceptions.ClientError",
        "azure.core.exceptions.AzureError",
        "botocore.exceptions.BotoCoreError",
        "botocore.exceptions.ClientError",
        "botocore.parsers.ResponseParserError",
        "gcsfs.retry.HttpError",
        "google.auth.exceptions.GoogleAuthError",
        "httpx.HTTPError",
    }
)
_UNREACHABLE = frozenset(
    {
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "azure.core.exceptions.ServiceRequestError",
        "azure.core.exceptions.ServiceResponseError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.FlexibleChecksumError",
        "botocore.exceptions.HTTPClientError",
        "botocore.exceptions.IncompleteReadError",
        "botocore.parsers.ResponseParserError",
        "google.auth.exceptions.TransportError",
        "httpx.TransportError",
    }
)
_NO_CREDENTIALS = frozenset(
    {
        "botocore.exceptions.NoCredentialsError",
        "botocore.exceptions.PartialCredentialsError",
        "azure.core.exceptions.ClientAuthenticationError",
        "google.auth.exceptions.DefaultCredentialsError",
        "google.auth.exceptions.RefreshError",
    }
)
# Its status is invented by aiohttp: the response was cut short, or is not HTTP.
_GARBLED_ANSWER = "aiohttp.http_exceptions.HttpProcessingError"
_WAITABLE_ERRNOS = frozenset(
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EINTR", "EREMOTEIO", "ESTALE", "ENETDOWN", "ENETUNREACH")
    if hasattr(errno, name)
) | {errno.EHOSTUNREACH, errno.EPIPE}
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY_ERRNOS = frozenset({errno.EROFS, errno.EPERM, errno.EACCES})

_PRECONDITION_FAILED = 412
_FAULT_OF_STATUS: dict[int, Fault] = {
    401: "denied",
    403: "denied",
    404: "not_found",
    408: "unavailable",
    425: "unavailable",
    429: "unavailable",
    507: "full",
}
_FAULT_OF_CODE: dict[str, Fault] = {
    "NoSuchBucket": "not_found",
    "NoSuchKey": "not_found",
    "SlowDown": "unavailable",
    "RequestTimeout": "unavailable",
    "ConditionalRequestConflict": "unavailable",
    "QuotaExceeded": "full",
    "XMinioStorageFull": "full",
    "ExpiredToken": "denied",
    "InvalidToken": "denied",
}


def fault_of(error: BaseException) -> Fault | None:
    """Return the kind of storage fault that `error` is; None if it is a bug instead."""
    if not isinstance(error, OSError | asyncio.TimeoutError | concurrent.futures.TimeoutError) and (
        _names(error).isdisjoint(_LIBRARY_ERRORS)
    ):
        return None
    for cause in _chain(error):
        fault = _fault_of_answer(cause)
        if fault is not None:
            return fault
    for cause in _chain(error):
        fault = _fault_of_type(cause)
        if fault is not None:
            return fault
    return "unusable"


def is_already_there(error: BaseException) -> bool:
    """Return True if a store refused to create an object because there is one of that name."""
    return any(
        isinstance(cause, FileExistsError) or _status_of(cause) == _PRECONDITION_FAILED
        for cause in _chain(error)
    )


def error_code(error: BaseException) -> str | None:
    """Return the store's own error code (`NoSuchBucket`, …), or None if it gave none."""
    for cause in _chain(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return None if code is None else str(code)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__)


def _fault_of_answer(error: BaseException) -> Fault | None:
    """Classify by the server's error code, then by the HTTP status."""
    if _GARBLED_ANSWER in _names(error):
        return None
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = response.get("Error", {}).get("Code")
        if code in _FAULT_OF_CODE:
            return _FAULT_OF_CODE[code]
    status = _status_of(error)
    if status is None or status < 400:
        return None
    return _FAULT_OF_STATUS.get(status, "unavailable" if status >= 500 else "unusable")


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the server's answer, or None if the error holds none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)
        for name in ("status", "status_code", "code"):
            status = status if isinstance(status, int) else getattr(error, name, None)
    return status if isinstance(status, int) else None


def _fault_of_type(error: BaseException) -> Fault | None:
    names = _names(error)
    if not names.isdisjoint(_NO_CREDENTIALS):
        return "denied"
    if not names.isdisjoint(_UNREACHABLE):
        return "unavailable"
    # On 3.10 the last two are not the built-in TimeoutError.
    waiting = (
        ConnectionError,
        TimeoutError,
        asyncio.TimeoutError,
        concurrent.futures.TimeoutError,
    )
    if isinstance(error, waiting):
        return "unavailable"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "not_found"
    return _fault_of_errno(error) if isinstance(error, OSError) else None


def _fault_of_errno(error: OSError) -> Fault | None:
    if isinstance(error, PermissionError) or error.errno in _READ_ONLY_ERRNOS:
        return "denied"
    if error.errno in _WAITABLE_ERRNOS:
        return "unavailable"
    if error.errno in _FULL_ERRNOS:
        return "full"
    return None
