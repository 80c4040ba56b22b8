"""Texts of failures: words on which clients submit again are there on purpose, or not at all."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from jobs.serve.dialects.error_texts import error_text

AGAIN = re.compile(r"timeout|connection|http 5|http 429|429", re.IGNORECASE)
"""The words for which the clients of WaveSpeedAI's API look."""


@pytest.mark.parametrize(
    "message",
    [
        "the Connection timed out after a TIMEOUT",
        "https://h/429/timeout.png?connection=5: the server returned HTTP 404 (Not Found)",
        "HTTP 501 (Not Implemented) at https://h/a.png, and HTTP 429",
        "1429 pixels of 4290",
        "nothing of this kind",
    ],
)
def test_a_failure_for_good_has_none_of_the_words(message: str) -> None:
    text = error_text("uri_not_found", message)
    assert not AGAIN.search(text)
    assert unquote(text).replace("\u2060", " ").replace(" ", "") == message.replace(" ", "")


@pytest.mark.parametrize("code", ["uri_timeout", "storage_write", "worker_lost"])
def test_a_failure_that_may_pass_asks_for_a_new_attempt(code: str) -> None:
    assert error_text(code, "no answer") == "HTTP 503: no answer"


def test_a_task_that_has_not_failed_has_no_text() -> None:
    assert error_text("", "") == ""
