from __future__ import annotations

import asyncio
import errno
import ftplib
from typing import Any

import aiohttp
import botocore.exceptions
import httpx2
import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from gcsfs.retry import ChecksumError, HttpError
from google.api_core import exceptions as google_errors
from google.auth.exceptions import TransportError
from huggingface_hub.errors import OfflineModeIsEnabled
from s3fs.errors import translate_boto_error

from pipelines.errors import Fault
from pipelines.storage.faults import error_code, fault_of


def s3_answer(status: int, code: str) -> BaseException:
    """Return the error that s3fs creates from an S3 server's response."""
    answer = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return translate_boto_error(botocore.exceptions.ClientError(answer, "PutObject"))  # type: ignore[no-any-return]


def untyped(kind: Any) -> BaseException:
    """Return an error of a class without types."""
    error: BaseException = kind("x")
    return error


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (s3_answer(503, "SlowDown"), "unavailable"),
        (s3_answer(500, "InternalError"), "unavailable"),
        (s3_answer(502, "502"), "unavailable"),
        (s3_answer(429, "TooManyRequests"), "unavailable"),
        (s3_answer(400, "RequestTimeout"), "unavailable"),
        (s3_answer(400, "ExpiredToken"), "denied"),
        (s3_answer(403, "AccessDenied"), "denied"),
        (s3_answer(403, "SomethingNew"), "denied"),
        (s3_answer(404, "NoSuchKey"), "not_found"),
        (s3_answer(403, "QuotaExceeded"), "full"),
        (s3_answer(400, "InvalidBucketName"), "unusable"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://h"), "unavailable"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"), "unavailable"),
        (botocore.exceptions.NoCredentialsError(), "denied"),
        (botocore.exceptions.ParamValidationError(report="x"), "unusable"),
        (aiohttp.ServerDisconnectedError(), "unavailable"),
        (aiohttp.ClientPayloadError(), "unavailable"),
        (asyncio.TimeoutError(), "unavailable"),
        (ConnectionResetError(), "unavailable"),
        (OSError(errno.EBUSY, "slow down"), "unavailable"),
        (OSError(errno.ENOSPC, "full"), "full"),
        (OSError(errno.EROFS, "read-only"), "denied"),
        (PermissionError(errno.EACCES, "no"), "denied"),
        (NotADirectoryError(errno.ENOTDIR, "no"), "not_found"),
        (OSError(errno.EIO, "broken disk"), "unusable"),
        (httpx2.ConnectError("refused"), "unavailable"),
        (httpx2.ReadTimeout("late"), "unavailable"),
        (ServiceRequestError("refused"), "unavailable"),
        (ServiceResponseError("cut"), "unavailable"),
        (ClientAuthenticationError("wrong key"), "denied"),
        (HttpError({"code": 503, "message": ""}), "unavailable"),
        (HttpError({"code": 401, "message": ""}), "denied"),
        (HttpError({"code": 501, "message": ""}), "unusable"),
        (ChecksumError(), "unavailable"),
        (requests.exceptions.ProxyError(), "unavailable"),
        (requests.exceptions.ReadTimeout(), "unavailable"),
        (untyped(google_errors.ServiceUnavailable), "unavailable"),
        (untyped(google_errors.Forbidden), "denied"),
        (untyped(TransportError), "unavailable"),
        (ftplib.error_temp("421 closing"), "unavailable"),
        (ftplib.error_perm("530 who are you"), "denied"),
        (ftplib.error_perm("550 no such file"), "not_found"),
        (OfflineModeIsEnabled("HF_HUB_OFFLINE is set"), "unusable"),
        (FileNotFoundError("x"), "not_found"),
        (caused(FileNotFoundError("x"), aiohttp.ServerDisconnectedError()), "unavailable"),
        (caused(FileNotFoundError("x"), KeyError("x")), "not_found"),
        (caused(RuntimeError("x"), ServiceRequestError("refused")), "unavailable"),
    ],
)
def test_the_fault_of_an_error(error: BaseException, fault: Fault) -> None:
    assert fault_of(error) == fault


@pytest.mark.parametrize("bug", [KeyError("k"), TypeError("t"), RuntimeError("r"), ValueError("v")])
def test_a_bug_is_not_a_storage_fault(bug: Exception) -> None:
    assert fault_of(bug) is None


def test_the_code_that_the_store_gave() -> None:
    assert error_code(s3_answer(404, "NoSuchBucket")) == "NoSuchBucket"
    assert error_code(OSError(errno.ENOSPC, "full")) is None
