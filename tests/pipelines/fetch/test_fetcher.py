"""Fetching references of every kind."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_from_bytes

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.inputs import FetchConfig
from pipelines.failures import CODES
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import Address, GuardedBackend, NameNotFoundError
from pipelines.rows import Reference
from tests.pipelines import http_origin as http
from tests.pipelines.fetch.fetchers import PNG, Make, failure_of
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture


def test_bytes_paths_and_file_uris_give_the_same_image(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "a picture é%20#1.png"
    path.write_bytes(PNG)
    fetcher = make()
    want = picture().tobytes()
    for reference in (PNG, str(path), f"file://{path}", f"file:{path}", path.as_uri()):
        assert fetcher.fetch(reference).tobytes() == want, reference


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "data:;base64," + base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        "data:image/png;charset=x;base64,\n " + base64.encodebytes(PNG).decode(),
        "data:image/png," + quote_from_bytes(PNG),
        "DATA:image/png;BASE64," + base64.b64encode(PNG).decode(),
    ],
    ids=["base64", "urlsafe-unpadded", "with-newlines", "percent", "upper-case"],
)
def test_data_uris(make: Make, uri: str) -> None:
    assert make().fetch(uri).tobytes() == picture().tobytes()


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64", "data:;base64,@@@@", "data:;base64,abcde"]
)
def test_broken_data_uris_are_corrupt_and_not_repeated_in_messages(make: Make, uri: str) -> None:
    failure = failure_of(make(), uri)
    assert failure.code == "image_corrupt"
    assert failure.uri is not None
    assert failure.uri.startswith("sha256:")


def test_http(make: Make, origin: Origin) -> None:
    url = origin.on("/a.png", http.ok(PNG))
    assert make().fetch(url).tobytes() == picture().tobytes()


def test_fsspec_filesystems(make: Make) -> None:
    with fsspec.open("memory://fetch/a.png", "wb") as file:
        file.write(PNG)
    assert make().fetch("memory://fetch/a.png").tobytes() == picture().tobytes()
    assert failure_of(make(), "memory://fetch/none.png").code == "uri_not_found"


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://host/a.png",
        "sftp://host/a.png",
        "github://owner:repo@main/a.png",
        "local:///etc/hostname",
        "simplecache::memory://fetch/a.png",
        "memory://a::file:///etc/hostname",
        "zip://a.png::http://127.0.0.1/x.zip",
        "gopher://host/x",
        "javascript://alert(1)",
        "file://otherhost/etc/hostname",
    ],
)
def test_other_and_chained_protocols_are_refused(make: Make, uri: str) -> None:
    assert failure_of(make(), uri).code == "uri_refused"


def test_a_store_whose_extra_is_missing_says_what_to_install() -> None:
    code = """
import sys
sys.modules["gcsfs"] = None  # an import of it fails
from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
try:
    Fetcher(FetchConfig()).fetch("gs://bucket/a.png")
except RowFailedError as error:
    print(error.failure.code, error.failure.message)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("uri_refused ")
    assert "pip install 'uso-batch[gcs]'" in ended.stdout


STARTS = ["", "/", "file:", "file://", "data:", "http://", "https://", "s3://", "memory://", "x://"]
ODD_TEXT = st.text(alphabet="ab01.:/@[]%?#;,\\-_~\0\n \u00e9", max_size=30)


def test_any_reference_ends_with_a_code() -> None:
    def nowhere(host: str, port: int) -> list[Address]:
        raise NameNotFoundError(host)

    config = FetchConfig(attempts=1, timeout_s=2, local_roots=["/nowhere"])
    reader = HttpReader(config, GuardedBackend(allow_private=False, resolve=nowhere))
    s3 = {
        "endpoint_url": "http://127.0.0.1:9",
        "key": "k",
        "secret": "s",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(st.sampled_from(STARTS), st.text(max_size=40) | ODD_TEXT)
    def check(start: str, rest: str) -> None:
        assert failure_of(fetcher, start + rest).code in CODES

    with closing(Fetcher(config, {"s3": s3}, http=reader)) as fetcher:
        check()


def test_bytes_are_capped_everywhere(make: Make, origin: Origin) -> None:
    big = bytes(2000)
    with fsspec.open("memory://fetch/big", "wb") as file:
        file.write(big)
    references: list[Reference] = [
        big,
        "data:;base64," + base64.b64encode(big).decode(),
        "memory://fetch/big",
        origin.on("/big", http.ok(big)),
        origin.on("/endless", http.endless),
        origin.on("/liar", http.ok(big, length=10**12)),
    ]
    fetcher = make(max_mb=0.001)
    for reference in references:
        failure = failure_of(fetcher, reference)
        assert failure.code == "uri_too_large", reference
        assert "(fetch.max_mb); make it smaller, or raise that limit" in failure.message


def test_empty_files_are_corrupt(make: Make, origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with fsspec.open("memory://fetch/empty", "wb"):
        pass
    references: list[Reference] = [
        b"",
        "data:,",
        str(tmp_path / "empty"),
        "memory://fetch/empty",
        origin.on("/empty", http.ok(b"")),
        origin.on("/204", http.status(204)),
    ]
    for reference in references:
        failure = failure_of(make(), reference)
        assert failure.code == "image_corrupt", reference
        assert "empty" in failure.message


def test_a_colour_profile_of_no_use_is_logged(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(), icc_profile=b"no profile"))
    make().fetch(f"{tmp_path}/a.png")
    assert f"{tmp_path}/a.png: its colour profile is damaged" in caplog.text


def test_no_credentials_in_failures_or_logs(
    make: Make, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    path = "/x?X-Amz-Signature=hidden1&w=5"
    origin.on(path, http.status(404))
    url = f"http://user:hidden2@127.0.0.1:{origin.port}{path}"
    failure = failure_of(make(), url)
    assert "hidden" not in f"{failure.message}{failure.uri}"
    assert failure.uri == origin.url("/x?w=5")
    ours = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert not any("hidden" in record.getMessage() for record in ours)


def test_a_uri_that_repeats_is_fetched_once(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.ok(PNG))
    fetcher = make()
    assert fetcher.fetch(url).tobytes() == fetcher.fetch(url).tobytes()
    assert origin.hits["/x"] == 1
    assert (fetcher.cache_counts.hits, fetcher.cache_counts.misses) == (1, 1)


def test_the_cache_can_be_switched_off_and_failures_are_not_kept(
    make: Make, origin: Origin
) -> None:
    url = origin.on("/x", http.status(404), http.ok(PNG))
    fetcher = make(cache_mb=0)
    assert failure_of(fetcher, url).code == "uri_not_found"
    fetcher.fetch(url)
    fetcher.fetch(url)
    assert origin.hits["/x"] == 3


def test_threads_that_want_the_same_uri_share_one_fetch(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.drip(PNG[:60] + PNG[60:], every_s=0.00005))
    fetcher = make()
    sizes: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda: sizes.append(fetcher.fetch(url).size)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(48, 32)] * 8
    assert origin.hits["/x"] == 1
