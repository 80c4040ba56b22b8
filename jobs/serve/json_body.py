"""Reads JSON from outside: the values that the database, an answer and a worker can hold.

Python's reader takes more: NaN, numbers beyond all bounds, halves of surrogate pairs, and the last
of two equal keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

_MOST_VALUES = 50_000
_MOST_DEPTH = 32
_MOST_DIGITS = 40


def read_json(data: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """Return the JSON value in UTF-8.

    Raises:
        ValueError: it is not valid, or not accepted; the message says what and where.
    """
    # A list of empty lists takes forty times its text. Commas and brackets bound the values.
    if sum(map(data.count, b",[{")) > _MOST_VALUES:
        raise ValueError(f"it has more than {_MOST_VALUES:,} values")
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refused_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    _check(value)
    return value


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:40]!r} is there twice")
        found[key] = value
    return found


def _refused_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:_MOST_DIGITS]} is too large")
    return number


def _bounded(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    return int(text)


def _check(value: object) -> None:
    """Raise `ValueError` for a value that is too deep, or a text that cannot be stored."""
    level: list[object] = [value]
    for _ in range(_MOST_DEPTH):
        below: list[object] = []
        for each in level:
            if isinstance(each, str):
                _check_text(each)
            elif isinstance(each, list):
                below.extend(each)
            elif isinstance(each, dict):
                below.extend(each.keys())
                below.extend(each.values())
        if not below:
            return
        level = below
    raise ValueError(_too_deep())


def _check_text(text: str) -> None:
    place = text.find("\x00")
    if place >= 0:
        raise ValueError(f"a text has a NUL character at position {place + 1}")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"a text has half of a surrogate pair at position {error.start + 1}"
        raise ValueError(message) from error


def _too_deep() -> str:
    return f"it is nested more than {_MOST_DEPTH} levels deep"
