"""Storage that misbehaves, for a while or for good: a real server, a real disk."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageError
from pipelines.storage.local_files import sync_folder
from pipelines.storage.storage import Storage
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Answer, Origin

BODY = secrets.token_bytes(4000)
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>reduce your request rate</Message></Error>"
_LIST_RECORDS = "/bucket?list-type=2&prefix=out%2Frecords%2F&delimiter=&encoding-type=url"
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The token has expired.</Message></Error>"


def at(origin: Origin, patience_s: float = 20) -> Storage:
    """An S3 folder on the origin, for a client that does not retry by itself."""
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
    storage = at(origin, patience_s=0.3)
    with pytest.raises(StorageError, match="check the endpoint"):
        storage.read_range("a", 0, 10)
    asked = origin.hits["/bucket/out/a"]
    assert asked >= 2
    with pytest.raises(StorageError, match=r"unavailable for 0\.3 s; check the endpoint") as caught:
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
    storage._outage.failed(started - 29.9)  # for another operation, which began so long ago
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


def test_credentials_that_have_expired_are_told_at_once(origin: Origin) -> None:
    origin.on("/bucket/out/a", http.failing(400, EXPIRED))
    with pytest.raises(StorageError, match=r"ExpiredToken.*check the credentials") as caught:
        at(origin).read_range("a", 0, 10)
    assert caught.value.fault == "denied"
    assert origin.hits["/bucket/out/a"] == 1
    assert "hush" not in str(caught.value)


def test_a_long_cause_does_not_flood_the_message(tmp_path: Path) -> None:
    name = "n" * 5000
    with pytest.raises(StorageError) as caught:
        Storage.at(str(tmp_path)).read(name)
    assert len(caught.value.reason) < 500


@contextmanager
def no_file_larger_than(num_bytes: int) -> Iterator[None]:
    """What the kernel does when a quota is met, without needing a disk of that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_is_full_keeps_what_was_there_and_nothing_half(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("a", b"as it was")
    with no_file_larger_than(100_000):
        storage.write("b", bytes(90_000))
        with pytest.raises(StorageError, match="free some space or raise the quota") as caught:
            storage.write("a", bytes(200_000))
    assert caught.value.fault == "full"
    assert storage.read("a") == b"as it was"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    (tmp_path / "records").symlink_to("records")  # a loop, which not even root may follow
    with pytest.raises(StorageError, match="records: unusable"):
        storage.list("records")


def test_files_that_were_moved_to_another_disk_and_linked_are_listed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    storage.write("records/a", b"12")
    (tmp_path / "moved").write_bytes(b"123")
    (tmp_path / "out" / "records" / "b").symlink_to(tmp_path / "moved")
    assert storage.sizes("records") == {"records/a": 2, "records/b": 3}
    (tmp_path / "moved").unlink()
    with pytest.raises(StorageError, match="records/b"):
        storage.sizes("records")


def test_an_object_that_stands_for_a_folder_is_no_file(origin: Origin) -> None:
    listed = "".join(
        f"<Contents><Key>out/records/{name}</Key><Size>{size}</Size></Contents>"
        for name, size in (("", 0), ("a", 2), ("deeper/", 0))
    )
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
    origin.on(_LIST_RECORDS, http.ok(page.encode(), content_type="application/xml"))
    assert at(origin).sizes("records") == {"records/a": 2}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a filesystem that syncs no folders")
def test_a_filesystem_that_syncs_no_folders_is_of_use() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        synced(Path("/proc/self"))
    sync_folder(Path("/proc/self"))


def synced(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root may write")
def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(StorageError, match="folder's permissions") as caught:
        Storage.at("/sys/kernel/uso-batch").check_writable()
    assert caught.value.fault == "denied"
