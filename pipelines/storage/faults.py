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
        "ftplib.Error",
        "gcsfs.retry.ChecksumError",
        "gcsfs.retry.HttpError",
        "gcsfs.retry.NonRetryableError",
        "google.api_core.exceptions.GoogleAPIError",
        "google.auth.exceptions.GoogleAuthError",
        "httpx.HTTPError",
        "httpx2.HTTPError",
        "paramiko.ssh_exception.SSHException",
        "webdav4.client.ClientError",
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
        "ftplib.error_proto",
        "ftplib.error_reply",
        "ftplib.error_temp",
        "gcsfs.retry.ChecksumError",
        "google.api_core.exceptions.RetryError",
        "google.auth.exceptions.TransportError",
        "httpx.TransportError",
        "httpx2.TransportError",
        "paramiko.ssh_exception.NoValidConnectionsError",
        "requests.exceptions.ChunkedEncodingError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
    }
)
_NO_CREDENTIALS = frozenset(
    {
        "botocore.exceptions.NoCredentialsError",
        "botocore.exceptions.PartialCredentialsError",
        "azure.core.exceptions.ClientAuthenticationError",
        "google.auth.exceptions.DefaultCredentialsError",
        "google.auth.exceptions.RefreshError",
        "paramiko.ssh_exception.AuthenticationException",
    }
)
# A kind of ConnectionError, but a setting of this machine: waiting does not help.
_OFFLINE_BY_CHOICE = "huggingface_hub.errors.OfflineModeIsEnabled"
# Its status is invented by aiohttp: the response was cut short, or is not HTTP.
_GARBLED_ANSWER = "aiohttp.http_exceptions.HttpProcessingError"
_WAITABLE_ERRNOS = frozenset(
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EINTR", "EREMOTEIO", "ESTALE", "ENETDOWN", "ENETUNREACH")
    if hasattr(errno, name)
) | {errno.EHOSTUNREACH, errno.EPIPE}
# A bucket can have an object and a "folder" of one name; where a folder is, a disk has no file.
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
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
    501: "unusable",
    505: "unusable",
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

MISSING_BUCKETS = {"NoSuchBucket": "bucket", "ContainerNotFound": "container"}
"""The codes that say that a whole bucket is missing, and the store's word for one."""


class MissingBucketError(FileNotFoundError):
    """A whole bucket is missing.

    Attributes:
        kind: the store's word for a bucket.
    """

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(f"no such {kind}: {name}")
        self.kind = kind


def missing_bucket(error: BaseException) -> str | None:
    """Return the store's word for a bucket if the error says that the bucket is missing."""
    told = (cause.kind for cause in chain_of(error) if isinstance(cause, MissingBucketError))
    return next(told, None) or MISSING_BUCKETS.get(error_code(error) or "")


def fault_of(error: BaseException) -> Fault | None:
    """Return the kind of storage fault that `error` is; None if it is a bug instead."""
    if not _is_storage_error(error):
        return None
    causes = list(chain_of(error))
    verdicts = [*map(_fault_of_answer, causes), *map(_fault_of_type, causes)]
    # Some filesystems say of every failure that the file does not exist; their causes know better.
    if any(isinstance(cause, _NO_FILE) for cause in causes):
        verdicts.append("not_found")
    return next((fault for fault in verdicts if fault is not None), "unusable")


def is_already_there(error: BaseException) -> bool:
    """Return True if a store refused to create an object because there is one of that name."""
    return any(
        isinstance(cause, FileExistsError) or status_of(cause) == _PRECONDITION_FAILED
        for cause in chain_of(error)
    )


def error_code(error: BaseException) -> str | None:
    """Return the store's own error code (`NoSuchBucket`, …), or None if it gave none."""
    for cause in chain_of(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return None if code is None else str(code)
        code = getattr(cause, "error_code", None)  # Azure's, a text or a member of an enum
        if code is not None and "azure.core.exceptions.AzureError" in _names(cause):
            return str(getattr(code, "value", code))
    return None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the response that `error` itself reports, if it does."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)
        for name in ("status", "status_code", "code"):
            status = status if isinstance(status, int) else getattr(error, name, None)
    return status if isinstance(status, int) and status >= 400 else None


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, the error that it was raised from, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _is_storage_error(error: BaseException) -> bool:
    if isinstance(error, OSError | asyncio.TimeoutError | concurrent.futures.TimeoutError):
        return True
    # adlfs wraps some errors of its client in a RuntimeError or ValueError.
    return any(not _names(cause).isdisjoint(_LIBRARY_ERRORS) for cause in chain_of(error))


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__)


def _fault_of_answer(error: BaseException) -> Fault | None:
    """Classify by the server's error code, then by the HTTP status."""
    if _GARBLED_ANSWER in _names(error):
        return None
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    if code in _FAULT_OF_CODE:
        return _FAULT_OF_CODE[code]
    status = status_of(error)
    if status is None:
        return None
    return _FAULT_OF_STATUS.get(status, "unavailable" if status >= 500 else "unusable")


def _fault_of_type(error: BaseException) -> Fault | None:
    names = _names(error)
    if _OFFLINE_BY_CHOICE in names:
        return "unusable"
    if not names.isdisjoint(_NO_CREDENTIALS):
        return "denied"
    if "ftplib.error_perm" in names:
        return _fault_of_ftp(error)
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
    return _fault_of_errno(error) if isinstance(error, OSError) else None


def _fault_of_ftp(error: BaseException) -> Fault:
    """Classify by the reply code, with which the text of an FTP error begins."""
    code = str(error)[:3]
    return {"530": "denied", "550": "not_found", "552": "full"}.get(code, "unusable")  # type: ignore[return-value]


def _fault_of_errno(error: OSError) -> Fault | None:
    if isinstance(error, PermissionError) or error.errno in _READ_ONLY_ERRNOS:
        return "denied"
    if error.errno in _WAITABLE_ERRNOS:
        return "unavailable"
    if error.errno in _FULL_ERRNOS:
        return "full"
    return None
