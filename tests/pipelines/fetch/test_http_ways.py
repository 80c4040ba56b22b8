"""`HttpReader.read` against its way through httpx2, which is the truth."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.http import HttpConfig
from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.deadline_stream import until
from pipelines.fetch.errors import TransientFetchError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_errors import errors_named
from pipelines.fetch.http_guard import Address, GuardedBackend, NameNotFoundError
from tests.pipelines.http_origin import Answer, Origin, serving

Found = Fetched | Failure | tuple[str, float | None]

CONFIG = FetchConfig(
    allow_private_networks=True,
    max_mb=0.01,
    max_redirects=1,
    http=HttpConfig(user_agent="a test", headers={"127.0.0.1": {"Referer": "https://a.test/"}}),
)
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "identity": lambda body: body,
    "Identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: body,
    "identity, identity": lambda body: body,
}
STATUSES = ["200 OK", "200", "203 Yes", "206 Part", "302 Found", "304 Same", "404 No", "503 Away"]
HEADERS = st.sampled_from(
    [
        *("Content-Type: image/png", "content-type: Bild/\xfc", "Content-Type: \u00a0a"),
        *('ETag: "a"', 'ETag: W/"b"', "etag:", "Last-Modified: today", "Location: /other"),
        *("Location: http://[", "Location: ftp://a.test/", "Set-Cookie: a=b", "Retry-After: 3"),
        *("X-Robots-Tag: noai", "X-Robots-Tag: noimageai, noindex", "x-robots-tag: all"),
    ]
)


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """Provide an origin for all examples."""
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def reader() -> Iterator[HttpReader]:
    """Provide a reader for all examples."""
    with closing(HttpReader(CONFIG)) as made:
        yield made


def result(call: Callable[[], Fetched]) -> Found:
    try:
        return call()
    except RowFailedError as error:
        return error.failure
    except TransientFetchError as error:
        return error.reason, error.retry_after_s


def through_httpx2(reader: HttpReader, uri: str) -> Fetched:
    with until(Deadline.after(5)), errors_named(uri, ""):
        return reader._followed("GET", uri, httpx2.URL(uri), lambda got: reader._body(uri, got))


def both(reader: HttpReader, uri: str) -> tuple[Found, Found]:
    return (
        result(lambda: reader.read(uri, Deadline.after(5))),
        result(lambda: through_httpx2(reader, uri)),
    )


def whole(head: str, framing: str, body: bytes) -> Answer:
    """An answer that says how long it is, or not."""
    lines = [f"HTTP/1.1 {head}", "Connection: close"]
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:3], body[3:]) if one)
        body += b"0\r\n\r\n"
    elif framing != "close":
        lines.append(f"Content-Length: {len(body) + int(framing)}")
    return lambda connection: connection.sendall(
        "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    )


class Answered(NamedTuple):
    """One answer of a server; `framing` is a difference to the true length, or another way."""

    status: str
    headers: list[str]
    encoding: str
    framing: str
    body: bytes

    def answer(self) -> Answer:
        encoded = [f"Content-Encoding: {self.encoding}"] if self.encoding else []
        head = "\r\n".join([self.status, *self.headers, *encoded])
        return whole(head, self.framing, BODIES[self.encoding](self.body))


ANSWERS = st.builds(
    Answered,
    st.sampled_from(STATUSES),
    st.lists(HEADERS, max_size=5),
    st.sampled_from([*BODIES]),
    st.sampled_from(["0", "0", "chunked", "close", "5", "-1"]),
    st.sampled_from([b"", b"image", bytes(9_999), bytes(10_001), b"\x1f\x8b"]),
)


@settings(max_examples=150)
@given(ANSWERS)
def test_any_answer_gives_the_same(origin: Origin, reader: HttpReader, answer: Answered) -> None:
    origin.requests.clear()
    quick, truth = both(reader, origin.on("/x", answer.answer()))
    assert quick == truth
    half = len(origin.requests) // 2
    assert origin.requests[:half] == origin.requests[half:]


@pytest.mark.parametrize(
    "uri",
    [
        *("http:///x", "http://", "http://a b/x", "http://[/x", "http://127.0.0.1:99999/x"),
        *("http://user:secret@{host}/x", "HTTP://{host}/x#part", "http://{host}?a=b c&d=%zz"),
        *("http://{host}/\xfc\u4e2d%20", "http://{host}/a/../b/./c", "http://{host}//x"),
    ],
)
def test_any_url_gives_the_same(origin: Origin, reader: HttpReader, uri: str) -> None:
    origin.otherwise = whole("200 OK", "0", b"image")
    origin.requests.clear()
    quick, truth = both(reader, uri.format(host=f"127.0.0.1:{origin.port}"))
    assert quick == truth
    half = len(origin.requests) // 2
    assert origin.requests[:half] == origin.requests[half:]
    assert half == ("{host}" in uri)


@pytest.mark.parametrize("status", ["200 OK", "302 Found\r\nLocation: /y", "404 No", "203 Yes"])
def test_an_answer_is_asked_for_once(origin: Origin, reader: HttpReader, status: str) -> None:
    origin.on("/y", whole("200 OK", "0", b"image"))
    url = origin.on("/x", whole(status, "0", b"image"))
    origin.hits.clear()
    result(lambda: reader.read(url, Deadline.after(5)))
    assert origin.hits["/x"] == 1


def test_a_closed_reader_asks_nobody(origin: Origin) -> None:
    """A thread that fetches on after the end of a check must not begin another attempt."""
    url = origin.on("/x", whole("200 OK", "0", b"image"))
    origin.hits.clear()
    reader = HttpReader(CONFIG)
    reader.close()
    with pytest.raises(RuntimeError, match="closed"):
        reader.read(url, Deadline.after(5))
    assert origin.hits["/x"] == 0


def test_memory_for_hosts_is_bounded() -> None:
    def nowhere(host: str, port: int) -> list[Address]:
        raise NameNotFoundError(host)

    with closing(HttpReader(CONFIG, GuardedBackend(allow_private=True, resolve=nowhere))) as made:
        for number in range(1_100):
            with pytest.raises(RowFailedError):
                made.read(f"http://{number}.test/", Deadline.after(5))
        assert 0 < len(made._heads) <= 1_000
