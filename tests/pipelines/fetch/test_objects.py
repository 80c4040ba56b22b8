from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol

import fsspec
import pytest
from s3fs import S3FileSystem

from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.storage.storage import Storage
from tests import small_hub
from tests.gcs_server import GcsServer
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture
from tests.pipelines.storage.stores import STORES, options_at, url_of
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


class Bucket(NamedTuple):
    """A bucket with an image, an empty object and a large one."""

    scheme: str
    name: str
    options: dict[str, dict[str, Any]]

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.name}/{path}"


@pytest.fixture(params=["s3", "gs"])
def stored(request: pytest.FixtureRequest) -> Bucket:
    fixture = {"s3": "s3_server", "gs": "gcs_server"}[request.param]
    server: S3Server | GcsServer = request.getfixturevalue(fixture)
    bucket = Bucket(request.param, server.new_bucket(), server.options)
    storage = Storage.at(bucket.url(""), bucket.options)
    for name, data in {"a picture #1.png": PNG, "empty.png": b"", "large.png": bytes(3000)}.items():
        storage.write(name, data)
    return bucket


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


def test_objects_are_read(make: Make, stored: Bucket) -> None:
    fetcher = make(stored.options)
    assert fetcher.fetch(stored.url("a picture #1.png")).tobytes() == picture().tobytes()


def check_faults(make: Make, stored: Bucket) -> None:
    fetcher = make(stored.options, max_mb=0.002)
    for uri, code in {
        stored.url("none.png"): "uri_not_found",
        f"{stored.scheme}://no-such-bucket/a.png": "uri_not_found",
        stored.url("empty.png"): "image_corrupt",
        stored.url("large.png"): "uri_too_large",
        f"{stored.scheme}://{stored.name}": "uri_not_found",
        stored.url(""): "uri_not_found",
    }.items():
        failure = failure_of(fetcher, uri)
        assert (failure.code, failure.uri) == (code, uri)


def test_every_fault_of_an_object_has_a_code(make: Make, stored: Bucket) -> None:
    check_faults(make, stored)


@pytest.mark.parametrize("store", STORES)
def test_a_store_that_is_away_is_a_timeout_with_the_cause(make: Make, store: str) -> None:
    fetcher = make(options_at("http://127.0.0.1:9"), timeout_s=12)
    failure = failure_of(fetcher, url_of(store, "x.png"))
    assert failure.code == "uri_timeout"
    assert "connect" in failure.message.lower()
    assert "tried 2 times" in failure.message  # a client's own retries would use up the time


def test_a_hub_serves_images(make: Make) -> None:
    with small_hub.serving({"a.png": PNG, "empty.png": b""}) as hub:
        fetcher = make(hub.options)
        assert fetcher.fetch(hub.url("a.png")).size == (48, 32)
        assert failure_of(fetcher, hub.url("empty.png")).code == "image_corrupt"
        assert failure_of(fetcher, hub.url("none.png")).code == "uri_not_found"
        assert failure_of(fetcher, "hf://alone").code == "uri_not_found"
        hub.break_down(http.close_at_once, only="a.png")
        assert failure_of(make(hub.options), hub.url("a.png")).code == "uri_timeout"


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
