"""Fetching over HTTP: statuses, damaged bodies, slow servers, redirects."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from pipelines.failures import FailureCode
from tests.pipelines import http_origin as http
from tests.pipelines.fetch.fetchers import PNG, Make, failure_of
from tests.pipelines.http_origin import Origin


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
def test_a_meaningless_retry_after_is_ignored(make: Make, origin: Origin, value: str) -> None:
    url = origin.on("/x", http.status(429, Retry_After=value), http.ok(PNG))
    assert make().fetch(url).size == (48, 32)


def test_retry_after_beyond_the_deadline_is_not_waited_for(make: Make, origin: Origin) -> None:
    url = origin.on("/x", http.status(429, Retry_After="3600"), http.ok(PNG))
    started = time.monotonic()
    failure = failure_of(make(), url)
    assert (failure.code, origin.hits["/x"]) == ("uri_timeout", 1)
    assert time.monotonic() - started < 4


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
