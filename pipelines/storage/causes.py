"""Says in one line why an operation on a store failed, for messages and logs."""

from __future__ import annotations

import re

from pipelines.storage.faults import chain_of, error_code, status_of

_MOST_SHOWN = 300
_QUERY = re.compile(r"(\w+://[^\s'\"?]+)\?[^\s'\"]+")


def cause_of(error: BaseException) -> str:
    """Return the store's error code or the type of `error`, and the first line of its text.

    Wrappers without a text of their own give way to their cause. Queries of URLs, which can hold a
    signature, are left out.
    """
    told = [each for each in chain_of(error) if _text(each)]
    # fsspec's HTTP filesystem reports every failure as a file that is not found.
    shown = told[-1] if told and isinstance(error, FileNotFoundError) else next(iter(told), error)
    name = error_code(error) or type(shown).__name__
    return f"{name}: {_text(shown) or _without_text(shown)}"


def _text(error: BaseException) -> str:
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    text = next((line for line in lines if line.strip(" ,.:0123456789")), "")
    text = _QUERY.sub(r"\1", text)
    return f"{text[:_MOST_SHOWN]}…" if len(text) > _MOST_SHOWN else text


def _without_text(error: BaseException) -> str:
    status = status_of(error)
    if status is not None:
        return f"HTTP status {status}"
    return "no response in time" if isinstance(error, TimeoutError) else "no details"
