from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageError
from pipelines.storage.filesystems import open_filesystem
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from tests.s3_server import S3Server

NOBODY_LISTENS: dict[str, dict[str, Any]] = {
    "s3": {"endpoint_url": "http://127.0.0.1:9", "key": "AKID", "secret": "hush-hush-hush"}
}


def without_retries(endpoint_url: str) -> dict[str, dict[str, Any]]:
    """Options with which botocore does not try again by itself."""
    own = {"endpoint_url": endpoint_url, "config_kwargs": {"retries": {"max_attempts": 0}}}
    return {"s3": {**NOBODY_LISTENS["s3"], **own}}


@contextmanager
def failing_s3(status: int, code: str, times: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers the first PUTs with an S3 error; its URL and the paths asked for."""
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
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_what_is_written_is_read_back(storage: Storage) -> None:
    assert storage.write("images/3f/a.png", b"\x00pixels") == storage.uri("images/3f/a.png")
    assert storage.read("images/3f/a.png") == b"\x00pixels"


def test_a_second_write_replaces_the_first(storage: Storage) -> None:
    storage.write("a", b"a long first version")
    storage.write("a", b"second")
    assert storage.read("a") == b"second"


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.write("empty", b"")
    assert storage.exists("empty")
    assert storage.read("empty") == b""


@pytest.mark.parametrize("size", [1, 6 * 2**20])
def test_a_range_is_part_of_the_file(storage: Storage, size: int) -> None:
    data = os.urandom(size)
    storage.write("big", data)
    assert storage.read_range("big", size // 2, size) == data[size // 2 :]


def test_a_list_is_fresh_sorted_and_relative(storage: Storage) -> None:
    assert storage.list("records") == []
    storage.write("records/b", b"22")
    assert storage.list("records") == ["records/b"]
    storage.write("records/a", b"1")
    storage.write("records/deep/c", b"333")
    assert storage.sizes("records") == {"records/a": 1, "records/b": 2, "records/deep/c": 3}
    storage.delete("records/b")
    assert storage.list("records") == ["records/a", "records/deep/c"]


def test_a_list_holds_only_what_is_below_the_folder(storage: Storage) -> None:
    storage.write("records/a", b"")
    storage.write("records-of-old/b", b"")
    assert storage.list("records") == ["records/a"]
    assert storage.list("") == ["records-of-old/b", "records/a"]


def test_another_process_list_is_fresh_too(storage: Storage) -> None:
    other = pickle.loads(pickle.dumps(storage))
    assert other.list("records") == []
    storage.write("records/a", b"")
    assert other.list("records") == ["records/a"]


def test_deleting_what_is_not_there_is_fine(storage: Storage) -> None:
    storage.write("a", b"")
    storage.delete("a")
    storage.delete("a")
    assert not storage.exists("a")


def test_reading_what_is_not_there_says_so(storage: Storage) -> None:
    with pytest.raises(StorageError, match="not found") as caught:
        storage.read("records/missing")
    assert caught.value.fault == "not_found"
    assert caught.value.uri == storage.uri("records/missing")


@pytest.mark.parametrize("path", ["../a", "images/../../a", "/etc/passwd", ".."])
def test_paths_stay_inside_the_folder(storage: Storage, path: str) -> None:
    with pytest.raises(ValueError, match="not a path inside"):
        storage.write(path, b"")


def test_names_may_hold_anything_but_a_slash(storage: Storage) -> None:
    for name in ("a b", "ä€", "100%25", "a?b", "a#b", "[x]", "*"):
        storage.write(f"names/{name}", name.encode())
        assert storage.read(f"names/{name}") == name.encode()
    assert len(storage.list("names")) == 7


def test_threads_may_share_it(storage: Storage) -> None:
    def round_trip(number: int) -> bytes:
        storage.write(f"t/{number}", b"%d" % number)
        return storage.read(f"t/{number}")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(round_trip, range(40))) == [b"%d" % n for n in range(40)]
    assert len(storage.list("t")) == 40


def test_check_writable_leaves_nothing(storage: Storage) -> None:
    storage.check_writable()
    assert storage.list("") == []


# Local disks


def test_a_local_uri_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Storage.at("out").uri("a.png") == str(tmp_path / "out" / "a.png")
    assert Storage.at(f"file://{tmp_path}/out").uri("a.png") == str(tmp_path / "out" / "a.png")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    (tmp_path / "a" / "in-the-way").mkdir(parents=True)
    with pytest.raises(StorageError):
        storage.write("a", b"a file cannot replace a folder")
    assert storage.list("") == []
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_a_killed_writer_are_not_listed_and_can_be_removed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("records/a", b"")
    leftover = tmp_path / "records" / ".uso-0123456789abcdef.tmp"
    leftover.write_bytes(b"half a pa")
    assert storage.list("records") == ["records/a"]
    assert storage.remove_leftovers("records") == 1
    assert not leftover.exists()
    assert storage.list("records") == ["records/a"]


def test_a_name_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("n" * 255, b"x")
    assert storage.read("n" * 255) == b"x"


# Faults


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


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(StorageError, match=r"pip install 'uso-batch\[azure\]'"):
        open_filesystem("az://container/out", {})


def test_an_unknown_protocol() -> None:
    with pytest.raises(StorageError, match="'s33' is not known"):
        Storage.at("s33://bucket/out")


@pytest.mark.parametrize(
    "options",
    [{"endpoint": "http://h"}, {"config_kwargs": {"retry": 1}}, {"endpoint_url": "not a URL"}],
)
def test_options_that_the_filesystem_does_not_take(options: dict[str, Any]) -> None:
    with pytest.raises(StorageError, match=r"options under storage\.s3 are not accepted"):
        Storage.at("s3://bucket/out", {"s3": {"key": "k", "secret": "s", **options}})


def test_options_of_an_alias_and_of_another_protocol() -> None:
    fs, path = open_filesystem("s3a://bucket/out", {**NOBODY_LISTENS, "gs": {"token": "x"}})
    assert fs.endpoint_url == "http://127.0.0.1:9"
    assert path == "bucket/out"


def test_a_storage_error_survives_pickle() -> None:
    error = pickle.loads(pickle.dumps(StorageError("s3://b/a", "gone", "not_found")))
    assert (error.uri, error.reason, error.fault) == ("s3://b/a", "gone", "not_found")
    assert str(error) == "s3://b/a: gone"


# URLs and secrets


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:pw@host/a.png", "https://host/a.png"),
        ("https://token@host/a.png", "https://host/a.png"),
        ("s3://key:secret@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("https://h/a?w=1&X-Amz-Signature=abc&X-Amz-Credential=k", "https://h/a?w=1"),
        ("https://h/a?X-Goog-Signature=abc#part", "https://h/a#part"),
        ("https://h/a?sv=2024&sig=abc%3D&se=x", "https://h/a?sv=2024&se=x"),
        ("https://h/a?access_token=abc&api-key=d&v=%20", "https://h/a?v=%20"),
        ("https://h/a?id=3&size=2", "https://h/a?id=3&size=2"),
        ("abfs://container@account.dfs.core.windows.net/a", None),
        ("filecache::https://me:pw@h/a", "filecache::https://h/a"),
        ("https://[bad:pw@h/a", "https://h/a"),
        ("/local/a@b?token=x", None),
        ("s3://bucket/plain.png", None),
        ("", None),
    ],
)
def test_public_uri(uri: str, shown: str | None) -> None:
    assert redact_uri(uri) == (uri if shown is None else shown)


def test_uris_show_no_credentials() -> None:
    storage = Storage.at("memory://me:pw@place/out")
    assert storage.write("a", b"") == "memory://place/out/a"
    assert "pw" not in repr(storage)
