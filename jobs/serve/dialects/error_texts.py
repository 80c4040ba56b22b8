"""Texts of failures, which decide whether a client submits a task again.

The clients of WaveSpeedAI's API look for some words in the text of a failure. If their user allows
retries, they submit again on these words, and on nothing else.
"""

from __future__ import annotations

import re

_MAY_PASS = frozenset({"uri_timeout", "storage_write", "worker_lost"})
"""Failures after which a new attempt may succeed."""
_AGAIN = "HTTP 503: "
"""Words on which all of them submit again."""
_WORDS = re.compile(r"(time)(out)|(conn)(ection)|(HTTP) (5)|(42)(9)", re.IGNORECASE)
_URL = re.compile(r"\w+://\S+")
_WORD_JOINER = "\u2060"  # is not shown


def error_text(code: str, message: str) -> str:
    """Return the text of a failure as clients get it.

    Args:
        code: failure code; empty if the task has not failed.
        message: the reason of the failure, for people.

    Returns:
        A text that asks for a new attempt if one may help. Any other one contains none of the words
        for which clients look; URLs in it stay equivalent.
    """
    if not code:
        return message
    if code in _MAY_PASS:
        return f"{_AGAIN}{message}"
    urls = _URL.findall(message)
    others = _URL.split(message)
    parts = [_WORDS.sub(_joined, others[0])]
    for url, other in zip(urls, others[1:], strict=True):
        parts += [_WORDS.sub(_escaped, url), _WORDS.sub(_joined, other)]
    return "".join(parts)


def _joined(match: re.Match[str]) -> str:
    """Return a word with an invisible character in it."""
    first, second = (part for part in match.groups() if part is not None)
    return f"{first}{_WORD_JOINER}{second}"


def _escaped(match: re.Match[str]) -> str:
    """Return a word of a URL with a character in its percent-encoded form."""
    first, second = (part for part in match.groups() if part is not None)
    return f"{first}%{ord(second[0]):02X}{second[1:]}"
