"""A store that misbehaves, for a while or for good."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageError
from pipelines.storage.storage import Storage
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Answer, Origin
from tests.s3_server import S3Server

BODY = secrets.token_bytes(4000)
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>reduce your request rate</Message></Error>"
_LIST_RECORDS = "/bucket?list-type=2&prefix=out%2Frecords%2F&delimiter=&encoding-type=url"
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The token has expired.</Message></Error>"


def at(origin: Origin, patience_s: float = 20) -> Storage:
    """Return an S3 folder on the origin, with a client that does not retry."""
    own: dict[str, Any] = {
        "endpoint_url": origin.url(""),
        "key": "k",
        "secret": "hush-hush-hush",
        "client_kwargs": {"region_name": "us-east-1"},
        "config_kwargs": {"retries": {"total_max_attempts": 1}, "read_timeout": 0.3},
    }
    return Storage.at("s3://bucket/out", {"s3": own}, patience_s=patience_s)


@pytest.mark.parametrize(
    "bad",
    [
        http.status(500),
        http.failing(503, SLOW_DOWN),
        http.status(429),
        http.close_at_once,
        http.reset(BODY),
        http.ok(BODY[:1000], length=len(BODY)),
        http.hang,
        http.garbage,
    ],
    ids=["500", "503", "429", "closed", "reset", "cut", "hang", "garbage"],
)
def test_a_read_that_fails_for_a_while_is_whole_in_the_end(origin: Origin, bad: Answer) -> None:
    origin.on("/bucket/out/a", bad, http.ok(BODY))
    assert at(origin).read_range("a", 0, len(BODY)) == BODY
    assert origin.hits["/bucket/out/a"] == 2


def test_a_store_that_fails_for_longer_than_its_client_tries_is_waited_for(origin: Origin) -> None:
    slow_down = http.failing(503, SLOW_DOWN)
    origin.on("/bucket/out/a", *[slow_down] * 3, http.ok(BODY))
    assert at(origin).read_range("a", 0, len(BODY)) == BODY
    assert origin.hits["/bucket/out/a"] == 4


def test_an_answer_that_is_cut_more_often_than_its_client_tries_is_waited_for(
    origin: Origin,
) -> None:
    cut = http.ok(BODY[:1000], length=len(BODY))
    origin.on("/bucket/out/a", *[cut] * 3, http.ok(BODY))
    assert at(origin).read_range("a", 0, len(BODY)) == BODY
    assert origin.hits["/bucket/out/a"] == 4


def test_a_store_that_is_away_for_good_is_waited_for_once(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.status(500))
    storage = at(origin, patience_s=1)
    with pytest.raises(StorageError, match="check the endpoint"):
        storage.read_range("a", 0, 10)
    asked = origin.hits["/bucket/out/a"]
    assert asked >= 2
    with pytest.raises(StorageError, match=r"unavailable for 1 s; check the endpoint") as caught:
        storage.read_range("a", 0, 10)
    assert caught.value.fault == "unavailable"
    assert origin.hits["/bucket/out/a"] == asked


def test_a_store_that_takes_the_connection_and_says_nothing_is_given_up(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.hang)
    with pytest.raises(StorageError, match="check the endpoint"):
        at(origin, patience_s=0.3).write("a", BODY)


def test_one_that_says_nothing_to_a_large_file_is_given_up(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "shard").write_bytes(BODY)
    origin.on("/bucket/out/a", http.hang)
    with pytest.raises(StorageError, match="check the endpoint"):
        at(origin, patience_s=0.3).write_from("a", tmp_path / "shard")


def test_one_that_comes_late_does_not_begin_to_wait_anew(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.status(500))
    storage = at(origin, patience_s=30)
    started = time.monotonic()
    # Another operation, which began so long ago, has failed.
    storage._attempts.outage.failed(started - 29.9)
    with pytest.raises(StorageError, match="check the endpoint"):
        storage.read_range("a", 0, 10)
    assert time.monotonic() - started < 15


def test_the_client_of_s3_leaves_retries_to_the_storage(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.status(500))
    own = {"endpoint_url": origin.url(""), "key": "k", "secret": "hush-hush-hush"}
    storage = Storage.at("s3://bucket/out", {"s3": own}, patience_s=0.001)
    with pytest.raises(StorageError, match="check the endpoint"):
        storage.read_range("a", 0, 10)
    assert origin.hits["/bucket/out/a"] == 1


def test_an_answer_of_any_kind_ends_an_outage(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.status(500), http.status(404))
    origin.on("/bucket/out/b", http.status(500), http.ok(BODY))
    storage = at(origin, patience_s=0.5)
    with pytest.raises(StorageError, match="not found"):
        storage.read_range("a", 0, 10)
    time.sleep(0.5)  # so that the next failure comes after the patience with the first one
    assert storage.read_range("b", 0, len(BODY)) == BODY


def test_expired_credentials_are_reported_at_once(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.failing(400, EXPIRED))
    with pytest.raises(StorageError, match=r"ExpiredToken.*check the credentials") as caught:
        at(origin).read_range("a", 0, 10)
    assert caught.value.fault == "denied"
    assert origin.hits["/bucket/out/a"] == 1
    assert "hush" not in str(caught.value)


def test_an_object_that_stands_for_a_folder_is_not_listed(origin: Origin) -> None:
    listed = "".join(
        f"<Contents><Key>out/records/{name}</Key><Size>{size}</Size></Contents>"
        for name, size in (("", 0), ("a", 2), ("deeper/", 0))
    )
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
    origin.on(_LIST_RECORDS, http.ok(page.encode(), content_type="application/xml"))
    assert at(origin).sizes("records") == {"records/a": 2}


def without_retries(endpoint_url: str) -> dict[str, dict[str, Any]]:
    """Options with which botocore does not retry."""
    own = {"endpoint_url": endpoint_url, "config_kwargs": {"retries": {"max_attempts": 0}}}
    return {"s3": {"key": "AKID", "secret": "hush-hush-hush", **own}}


@contextmanager
def failing_s3(status: int, code: str, times: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a server that fails the first PUTs, and the paths of all requests."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # with which it answers `Expect: 100-continue`

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.path)
            failing = len(seen) <= times
            body = f"<Error><Code>{code}</Code></Error>".encode() if failing else b""
            self.send_response(status if failing else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_bucket_that_does_not_exist(s3_server: S3Server) -> None:
    with pytest.raises(StorageError, match="the bucket does not exist; create it") as caught:
        Storage.at("s3://no-such-bucket/out", s3_server.options).check_writable()
    assert caught.value.fault == "not_found"


@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_wrong_credentials(s3_server: S3Server, wrong: str) -> None:
    options = {"s3": {**s3_server.options["s3"], wrong: "not-the-right-one"}}
    with pytest.raises(StorageError, match="check the credentials") as caught:
        Storage.at(f"s3://{s3_server.new_bucket()}/out", options).check_writable()
    assert caught.value.fault == "denied"
    assert "not-the-right-one" not in str(caught.value)


def test_a_server_that_is_away_is_waited_for_then_told() -> None:
    storage = Storage.at("s3://bucket/out", without_retries("http://127.0.0.1:9"), patience_s=0.1)
    with pytest.raises(StorageError, match="check the endpoint and the network") as caught:
        storage.check_writable()
    assert caught.value.fault == "unavailable"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "requests"), [(500, "InternalError", 3), (403, "AccessDenied", 1)]
)
def test_what_may_pass_is_tried_again(status: int, code: str, requests: int) -> None:
    with failing_s3(status, code, times=2) as (url, seen):
        storage = Storage.at("s3://bucket/out", without_retries(url))
        if requests == 1:
            with pytest.raises(StorageError, match="AccessDenied"):
                storage.write("a", b"1")
        else:
            storage.write("a", b"1")
    assert seen == ["/bucket/out/a"] * requests
