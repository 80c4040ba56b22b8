"""Files by signed URLs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.jobs.serve.running import Running


def announced(server: Running, size: int | None = 3) -> tuple[str, str]:
    """Announce a file of a key, and return its id and the URL for its upload."""
    files, links = server.service.files, server.service.links
    file = files.new("key", "input", "a b.png", "image/png", size=size)
    server.call(files.announce(file))
    return file.id, links.write(server.url, file.id, int(time.time()) + 60)


def put(server: Running, url: str, data: Any) -> int:
    with server.client() as http:
        status: int = http.put(url, content=data, headers={"Authorization": ""}).status_code
    return status


def test_an_upload_can_be_read_again(server: Running) -> None:
    file_id, url = announced(server)
    assert put(server, url, b"abc") == 204
    read = server.service.links.read(server.url, file_id, "a b.png", int(time.time()) + 60)
    with server.client() as http:
        answer = http.get(read)
    assert answer.content == b"abc"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a%20b.png" in answer.headers["content-disposition"]


def test_an_upload_is_taken_once(server: Running) -> None:
    _, url = announced(server)
    assert [put(server, url, b"abc"), put(server, url, b"abc")] == [204, 409]


@pytest.mark.parametrize(("size", "data", "status"), [(3, b"ab", 400), (3, b"abcd", 400)])
def test_an_upload_has_its_announced_size(
    server: Running, size: int, data: bytes, status: int
) -> None:
    _, url = announced(server, size)
    assert put(server, url, data) == status
    assert put(server, url, b"abc") == 204


def test_an_upload_is_bounded(server: Running) -> None:
    _, url = announced(server, None)
    most = round(server.service.config.serve.max_upload_mb * 10**6)
    assert put(server, url, bytes(most + 1)) == 413
    assert put(server, url, bytes(most)) == 204


@pytest.mark.parametrize("change", ["altered", "expired", "of another file", "for reading"])
def test_other_urls_are_refused(server: Running, change: str) -> None:
    file_id, url = announced(server)
    links, soon = server.service.links, int(time.time()) + 60
    wrong = {
        "altered": url[:-1] + ("0" if url[-1] != "0" else "1"),
        "expired": links.write(server.url, file_id, int(time.time()) - 1),
        "of another file": url.replace(file_id, announced(server)[0]),
        "for reading": links.read(server.url, file_id, "a", soon)
        .replace("&s=", "&token=")
        .replace(f"/media/{file_id}/a", f"/media/upload/{file_id}"),
    }[change]
    assert put(server, wrong, b"abc") == 403


@pytest.fixture
def readable(server: Running) -> str:
    """Return the URL of a file of ten bytes."""
    file_id, url = announced(server, 10)
    assert put(server, url, b"0123456789") == 204
    read: str = server.service.links.read(server.url, file_id, "a.png", int(time.time()) + 60)
    return read


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=0-", 206, b"0123456789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("pages=1-2", 200, b"0123456789"),
    ],
)
def test_a_range_of_a_file(
    server: Running, readable: str, asked: str, status: int, content: bytes
) -> None:
    with server.client() as http:
        answer = http.get(readable, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["accept-ranges"] == "bytes"
    if status == 206:
        first = b"0123456789".index(content)
        last = first + len(content) - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/10"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0"])
def test_a_range_that_does_not_exist(server: Running, readable: str, asked: str) -> None:
    with server.client() as http:
        answer = http.get(readable, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


def test_a_download_resumes_if_the_file_is_the_same(server: Running, readable: str) -> None:
    with server.client() as http:
        etag = http.head(readable).headers["etag"]
        same, other = (
            http.get(readable, headers={"Range": "bytes=8-", "If-Range": version})
            for version in (etag, '"other"')
        )
    assert (same.content, other.content) == (b"89", b"0123456789")


def test_a_file_that_a_client_has_is_not_sent_again(server: Running, readable: str) -> None:
    with server.client() as http:
        head = http.head(readable)
        answer = http.get(readable, headers={"If-None-Match": f'"x", W/{head.headers["etag"]}'})
    assert (head.content, head.headers["content-length"]) == (b"", "10")
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("signature", ["", "é", "0" * 40])
def test_a_wrong_signature_is_refused(server: Running, readable: str, signature: str) -> None:
    with server.client() as http:
        answer = http.get(f"{readable.partition('&s=')[0]}&s={signature}")
    assert answer.status_code == 403
