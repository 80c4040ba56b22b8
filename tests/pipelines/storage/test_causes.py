from __future__ import annotations

import asyncio

import botocore.exceptions
import pytest
from azure.core.exceptions import HttpResponseError
from gcsfs.retry import HttpError
from s3fs.errors import translate_boto_error

from pipelines.storage.causes import cause_of

_XML = "<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"


def azure_refusal() -> BaseException:
    error = HttpResponseError(
        f"Server failed to authenticate the request.\nRequestId:1\nTime:2026\nContent: {_XML}"
    )
    error.error_code = "AuthenticationFailed"  # type: ignore[attr-defined]
    return error


def wrapped(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: [Errno 111]"),
        (azure_refusal(), "AuthenticationFailed: Server failed to authenticate the request."),
        (HttpError({"code": 503, "message": ""}), "HttpError: HTTP status 503"),
        (asyncio.TimeoutError(), "TimeoutError: no response in time"),
        (OSError(), "OSError: no details"),
        (
            wrapped(FileNotFoundError("http://h/m.csv"), ConnectionRefusedError("cannot connect")),
            "ConnectionRefusedError: cannot connect",
        ),
        (wrapped(RuntimeError(), OSError("the cause")), "OSError: the cause"),
        (
            translate_boto_error(
                botocore.exceptions.ClientError(
                    {"Error": {"Code": "SlowDown", "Message": "reduce"}}, "PutObject"
                )
            ),
            "SlowDown: ",
        ),
        (OSError("at https://h/x?sig=secret failed"), "OSError: at https://h/x failed"),
    ],
)
def test_the_cause_is_one_line(error: BaseException, said: str) -> None:
    assert cause_of(error).startswith(said)
    assert "\n" not in cause_of(error)


def test_a_long_text_is_cut() -> None:
    assert len(cause_of(OSError("x" * 5000))) < 350
