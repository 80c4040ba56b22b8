from __future__ import annotations

import base64
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import quote_from_bytes

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.inputs import FetchConfig
from pipelines.failures import CODES, Failure, FailureCode, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import Address, GuardedBackend, NameNotFoundError
from pipelines.rows import Reference
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture

PNG = encode(picture())


class Make(Protocol):
    def __call__(self, **config: object) -> Fetcher: ...


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes fetchers with short time-outs that may reach the loopback origin."""
    with ExitStack() as stack:

        def make(**config: object) -> Fetcher:
            given = {"allow_private_networks": True, "timeout_s": 5, "attempts": 2, **config}
            fetcher = Fetcher(FetchConfig.model_validate(given))
            stack.callback(fetcher.close)
            return fetcher

        yield make


def failure_of(fetcher: Fetcher, reference: Reference) -> Failure:
    with pytest.raises(RowFailedError) as caught:
        fetcher.fetch(reference)
    return caught.value.failure


# --- every kind of reference -------------------------------------------------------------------


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


@pytest.mark.skipif(find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_store_whose_extra_is_missing_says_what_to_install(make: Make) -> None:
    failure = failure_of(make(), "gs://bucket/a.png")
    assert failure.code == "uri_refused"
    assert "pip install 'uso-batch[gcs]'" in failure.message


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


# --- local files -------------------------------------------------------------------------------


def test_local_files_can_be_switched_off(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    fetcher = make(allow_local_files=False)
    assert failure_of(fetcher, str(tmp_path / "a.png")).code == "uri_refused"
    assert failure_of(fetcher, f"file://{tmp_path}/a.png").code == "uri_refused"
    assert fetcher.fetch(PNG).size == (48, 32)


def test_local_roots_hold_against_dots_links_and_lookalikes(make: Make, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-too"
    root.mkdir()
    outside.mkdir()
    (outside / "a.png").write_bytes(PNG)
    (root / "b.png").write_bytes(PNG)
    (root / "link.png").symlink_to(outside / "a.png")
    (root / "dir").symlink_to(outside)
    (root / "inner.png").symlink_to(root / "b.png")
    fetcher = make(local_roots=[str(root)])
    assert fetcher.fetch(str(root / "b.png")).size == (48, 32)
    assert fetcher.fetch(str(root / "inner.png")).size == (48, 32)
    for escape in ("link.png", "dir/a.png", "../root-too/a.png", "%2e%2e/root-too/a.png"):
        for uri in (f"{root}/{escape}", f"file://{root}/{escape}"):
            assert failure_of(fetcher, uri).code in ("uri_refused", "uri_not_found"), uri
    assert failure_of(fetcher, str(outside / "a.png")).code == "uri_refused"


def test_what_is_no_readable_file(make: Make, tmp_path: Path) -> None:
    fetcher = make(max_mb=0.001)
    assert failure_of(fetcher, str(tmp_path / "none.png")).code == "uri_not_found"
    assert failure_of(fetcher, str(tmp_path)).code == "uri_not_found"
    assert failure_of(fetcher, f"{tmp_path}/a\0b").code == "uri_not_found"
    os.mkfifo(tmp_path / "pipe")
    assert failure_of(fetcher, str(tmp_path / "pipe")).code == "uri_not_found"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert failure_of(fetcher, str(tmp_path / "loop")).code == "uri_not_found"
    (tmp_path / "big.png").write_bytes(bytes(1001))
    assert failure_of(fetcher, str(tmp_path / "big.png")).code == "uri_too_large"
    assert failure_of(fetcher, "/dev/zero").code == "uri_not_found"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that can be opened and not read")
def test_a_disk_that_fails_says_nothing_about_the_path(make: Make) -> None:
    failure = failure_of(make(), "/proc/self/mem")
    assert (failure.code, failure.retryable) == ("uri_timeout", True)
    assert "Input/output error" in failure.message


# --- caps that hold for every kind --------------------------------------------------------------


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
        assert failure_of(fetcher, reference).code == "uri_too_large", reference


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


# --- HTTP answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "want", "hits"),
    [
        (400, "uri_not_found", 1),
        (401, "uri_forbidden", 1),
        (403, "uri_forbidden", 1),
        (404, "uri_not_found", 1),
        (410, "uri_not_found", 1),
        (451, "uri_forbidden", 1),
        (304, "uri_not_found", 1),
        (408, "uri_timeout", 2),
        (429, "uri_timeout", 2),
        (500, "uri_timeout", 2),
        (501, "uri_not_found", 1),
        (503, "uri_timeout", 2),
    ],
)
def test_status_codes(make: Make, origin: Origin, code: int, want: FailureCode, hits: int) -> None:
    url = origin.on("/x", http.status(code))
    failure = failure_of(make(), url)
    assert (failure.code, origin.hits["/x"]) == (want, hits)
    assert str(code) in failure.message
    assert url in failure.message


def test_html_in_place_of_an_image_is_named(make: Make, origin: Origin) -> None:
    page = b"\n <!DOCTYPE html><html>rate limited</html>"
    failure = failure_of(make(), origin.on("/x.jpg", http.ok(page, content_type="image/jpeg")))
    assert failure.code == "image_unsupported"
    assert "HTML" in failure.message
    assert "image/jpeg" in failure.message


def test_a_server_that_recovers_is_asked_again(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.status(503), http.reset(PNG), http.ok(PNG))
    assert make(attempts=3).fetch(url).size == (48, 32)
    assert origin.hits["/x"] == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(make: Make, origin: Origin, form: str) -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=1.6)
    value = "1" if form == "seconds" else format_datetime(at, usegmt=True)
    url = origin.on("/x", http.status(429, Retry_After=value), http.ok(PNG))
    started = time.monotonic()
    make().fetch(url)
    assert time.monotonic() - started > 0.5
    assert origin.hits["/x"] == 2


@pytest.mark.parametrize(
    "value",
    ["soon", "-1", "Mon, 20 Nov 99999999999 19:12:08 GMT", f"Mon, 20 Nov 1995 19:12:08 +{10**19}"],
)
def test_a_retry_after_that_means_nothing_is_none(make: Make, origin: Origin, value: str) -> None:
    url = origin.on("/x", http.status(429, Retry_After=value), http.ok(PNG))
    assert make().fetch(url).size == (48, 32)


def test_retry_after_beyond_the_deadline_is_not_waited_for(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.status(429, Retry_After="3600"), http.ok(PNG))
    started = time.monotonic()
    failure = failure_of(make(), url)
    assert (failure.code, origin.hits["/x"]) == ("uri_timeout", 1)
    assert time.monotonic() - started < 4


# --- HTTP bodies and time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "want", "hits"),
    [
        (http.ok(PNG[: len(PNG) // 2], length=len(PNG)), "uri_timeout", 2),
        (http.reset(PNG), "uri_timeout", 2),
        (http.ok(PNG, length=len(PNG) + 1000), "uri_timeout", 2),
        (http.ok(PNG, length=len(PNG) - 1000), "image_corrupt", 1),
        (http.cut_chunked(PNG), "uri_timeout", 2),
        (http.close_at_once, "uri_timeout", 2),
        (http.garbage, "uri_timeout", 2),
        (http.encoded(PNG, "gzip"), "image_corrupt", 1),
        (http.encoded(PNG, "br"), "image_unsupported", 1),
        (http.encoded(PNG, "gzip, gzip"), "image_unsupported", 1),
        (http.ok(PNG[: len(PNG) // 2]), "image_corrupt", 1),
    ],
    ids=[
        "truncated",
        "reset",
        "length-too-big",
        "length-too-small",
        "cut-chunked",
        "no-answer",
        "not-http",
        "not-gzip",
        "brotli",
        "gzip-twice",
        "half-file",
    ],
)
def test_broken_bodies(
    make: Make, origin: Origin, answer: http.Answer, want: FailureCode, hits: int
) -> None:
    url = origin.on("/x", answer)
    assert failure_of(make(), url).code == want
    assert origin.hits["/x"] == hits


@pytest.mark.parametrize(
    "answer",
    [http.hang, http.drip(bytes(10_000)), http.drip(b"", in_head=True)],
    ids=["hang", "drip-body", "drip-head"],
)
def test_slow_servers_are_cut_off_at_the_total_time(
    make: Make, origin: Origin, answer: http.Answer
) -> None:
    url = origin.on("/x", answer)
    started = time.monotonic()
    failure = failure_of(make(timeout_s=0.6, attempts=2), url)
    assert failure.code == "uri_timeout"
    assert 0.5 < time.monotonic() - started < 1.15


def test_a_silent_attempt_leaves_time_for_another(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.hang, http.ok(PNG))
    assert make(timeout_s=1.5, attempts=3).fetch(url).size == (48, 32)


def test_a_connection_that_is_refused_is_tried_again_and_reported(make: Make) -> None:
    failure = failure_of(make(timeout_s=2), "http://127.0.0.1:9/x")
    assert failure.code == "uri_timeout"
    assert "tried 2 times" in failure.message


# --- redirects ----------------------------------------------------------------------------------


def test_redirects_are_followed_and_counted(make: Make, origin: Origin) -> None:
    origin.on("/2", http.ok(PNG))
    origin.on("/1", http.redirect("2", 307))
    url = origin.on("/0", http.redirect(origin.url("/1"), 301))
    assert make(max_redirects=2).fetch(url).size == (48, 32)
    failure = failure_of(make(max_redirects=1), url)
    assert failure.code == "uri_refused"
    assert "max_redirects" in failure.message


def test_a_redirect_loop_ends(make: Make, origin: Origin) -> None:
    url = origin.on("/loop", http.redirect("/loop"))
    assert failure_of(make(max_redirects=5), url).code == "uri_refused"
    assert origin.hits["/loop"] == 6


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "s3://b/k"]
)
def test_redirects_lead_to_http_only(make: Make, origin: Origin, target: str) -> None:
    url = origin.on("/x", http.redirect(target))
    assert failure_of(make(), url).code == "uri_refused"


def test_cookies_do_not_travel_between_fetches(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.status(503, Set_Cookie="who=you"), http.ok(PNG))
    make().fetch(url)
    assert not any("cookie" in request.lower() for request in origin.requests)


# --- what is shown ------------------------------------------------------------------------------


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


# --- the cache ----------------------------------------------------------------------------------


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
