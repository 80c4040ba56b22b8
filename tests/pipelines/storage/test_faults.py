from __future__ import annotations

import asyncio
import errno

import aiohttp
import botocore.exceptions
import pytest
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
