"""Files by signed URLs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pipelines.errors import ConfigError
from pipelines.rows import ManifestRow, Outcome
from tests.jobs.serve.running import Running, config_for, running
from tests.s3_server import S3Server


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


def no_work(_: ManifestRow) -> Outcome:
    raise NotImplementedError


@pytest.fixture
def on_s3(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """Return a server with its files on S3, which answers their URLs with redirects."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    files = f"s3://{s3_server.new_bucket()}/files"
    with running(config_for(tmp_path, files=files, redirect=True), no_work, workers=0) as server:
        yield server


@pytest.mark.s3
def test_a_file_on_s3_is_read_from_there(on_s3: Running, s3_server: S3Server) -> None:
    with on_s3.client() as http:
        upload = {"file": ("a.png", b"0123456789", "image/png")}
        uri = http.post("/files", files=upload).json()["data"]["uri"]
        redirected = http.get(uri)
        own_page = http.get(uri, headers={"Sec-Fetch-Site": "same-origin"})
        with httpx2.Client() as stranger:
            directly = stranger.get(redirected.headers["location"])
            followed = stranger.get(uri, follow_redirects=True)
    assert uri.startswith(on_s3.url)
    assert redirected.status_code == 302
    location = redirected.headers["location"]
    assert location.startswith(s3_server.endpoint_url)
    assert "response-content-type=image%2Fpng" in location
    assert directly.status_code == 200, (location, directly.text)
    assert own_page.content == directly.content == followed.content == b"0123456789"


def test_a_redirect_needs_s3(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="redirect: only S3 signs URLs"):
        config_for(tmp_path, redirect=True)
