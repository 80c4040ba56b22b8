from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Protocol

import fsspec
import pytest
from s3fs import S3FileSystem

from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture
from tests.s3_server import S3Server

pytestmark = pytest.mark.s3

PNG = encode(picture())


class Make(Protocol):
    def __call__(self, options: dict[str, Any], **config: object) -> Fetcher: ...


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def make(options: dict[str, Any], **config: object) -> Fetcher:
            given = {"timeout_s": 10, "attempts": 2, **config}
            fetcher = Fetcher(FetchConfig.model_validate(given), options)
            stack.callback(fetcher.close)
            return fetcher

        yield make


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """A bucket with an image, an empty object and a large one."""
    bucket = s3_server.new_bucket()
    filesystem = fsspec.filesystem("s3", **s3_server.options["s3"])
    filesystem.pipe_file(f"{bucket}/a picture #1.png", PNG)
    filesystem.pipe_file(f"{bucket}/empty.png", b"")
    filesystem.pipe_file(f"{bucket}/large.png", bytes(3000))
    return bucket


def failure_of(fetcher: Fetcher, uri: str) -> Failure:
    with pytest.raises(RowFailedError) as caught:
        fetcher.fetch(uri)
    return caught.value.failure


def s3_at(origin: Origin) -> dict[str, Any]:
    """Return options for S3 on the origin, with a client that does not retry."""
    return {
        "s3": {
            "endpoint_url": origin.url(""),
            "key": "k",
            "secret": "s",
            "client_kwargs": {"region_name": "us-east-1"},
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
    }


def test_objects_are_read(make: Make, s3_server: S3Server, bucket: str) -> None:
    fetcher = make(s3_server.options)
    assert fetcher.fetch(f"s3://{bucket}/a picture #1.png").tobytes() == picture().tobytes()


def test_every_fault_of_an_object_has_a_code(make: Make, s3_server: S3Server, bucket: str) -> None:
    fetcher = make(s3_server.options, max_mb=0.002)
    for end, code in {
        f"{bucket}/none.png": "uri_not_found",
        "no-such-bucket/a.png": "uri_not_found",
        f"{bucket}/empty.png": "image_corrupt",
        f"{bucket}/large.png": "uri_too_large",
        bucket: "uri_not_found",
    }.items():
        failure = failure_of(fetcher, f"s3://{end}")
        assert (failure.code, failure.uri) == (code, f"s3://{end}")


def test_wrong_credentials_are_forbidden(make: Make, s3_server: S3Server, bucket: str) -> None:
    options = {"s3": {**s3_server.options["s3"], "secret": "a-wrong-secret"}}
    failure = failure_of(make(options), f"s3://{bucket}/empty.png")
    assert failure.code == "uri_forbidden"
    assert "wrong-secret" not in failure.message


def test_a_store_that_slows_down_is_asked_again(make: Make) -> None:
    body = b"<Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>"
    with http.serving() as origin:
        origin.on("/bucket/x.png", http.failing(503, body), http.ok(PNG))
        assert make(s3_at(origin)).fetch("s3://bucket/x.png").size == (48, 32)


def test_threads_share_connections_to_a_store(make: Make) -> None:
    with http.serving() as origin:
        paths = [f"/bucket/{n}.png" for n in range(12)]
        for path in paths:
            origin.on(path, http.ok(PNG))
        fetcher = make(s3_at(origin))
        before = len(S3FileSystem._cache)
        with ThreadPoolExecutor(4) as pool:
            sizes = [image.size for image in pool.map(fetcher.fetch, [f"s3:/{p}" for p in paths])]
    assert sizes == [(48, 32)] * 12
    assert len(S3FileSystem._cache) - before == 1


def test_a_store_that_hangs_is_cut_off(make: Make) -> None:
    with http.serving() as origin:
        origin.on("/bucket/x.png", http.hang)
        started = time.monotonic()
        failure = failure_of(make(s3_at(origin), timeout_s=0.5), "s3://bucket/x.png")
    assert failure.code == "uri_timeout"
    assert time.monotonic() - started < 4


def test_a_store_that_is_away_is_a_timeout(make: Make) -> None:
    options = {"s3": {**s3_at(Origin())["s3"], "endpoint_url": "http://127.0.0.1:9"}}
    failure = failure_of(make(options, timeout_s=3), "s3://bucket/x.png")
    assert failure.code == "uri_timeout"
