"""Licences and wishes that the manifest states, in columns of the user's own.

The columns stay the user's: they go to the records unchanged, and change neither fingerprints nor
digests. They are read in addition.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pipelines.reference_facts import ReferenceRights

LICENCE_COLUMNS = ("licence", "license")
NOAI_COLUMN = "noai"
RIGHTS_COLUMNS = frozenset({*LICENCE_COLUMNS, NOAI_COLUMN})
_NO = frozenset({"", "0", "f", "false", "n", "n/a", "na", "<na>", "no", "none", "null", "off"})
_MOST = 200


def given_rights(own: Mapping[str, Any], num_references: int) -> tuple[ReferenceRights, ...]:
    """Return what the user's own columns state about each reference of a row.

    A list with one item for each reference, the content image first, states them one by one; any
    other value states it for all. In CSV, and in JSON Lines whose column has values of several
    types, a list is JSON in text. A value of `noai` that does not plainly say no is a wish.

    Args:
        own: the user's own columns.
        num_references: number of the row's references.

    Returns:
        One for each reference; nothing if the columns state nothing.
    """
    name = next((name for name in LICENCE_COLUMNS if own.get(name)), LICENCE_COLUMNS[0])
    licences = _each(own.get(name), num_references)
    wishes = _each(own.get(NOAI_COLUMN), num_references)
    found = tuple(
        ReferenceRights(_text(licence), f"column {NOAI_COLUMN}" if _is_wish(wish) else None)
        for licence, wish in zip(licences, wishes, strict=True)
    )
    return found if any(map(any, found)) else ()


def _each(value: Any, count: int) -> list[Any]:  # noqa: ANN401 (whatever a cell holds)
    items = _items(value)
    if items is None:
        return [value] * count
    if len(items) == count:
        return items
    return [next(filter(_is_wish, items), None)] * count


def _items(value: Any) -> list[Any] | None:  # noqa: ANN401 (whatever a cell holds)
    """Return the items of a list, also of one in text; None for another value."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _of_json(value)
    return value if isinstance(value, list) else None


def _of_json(text: str) -> Any:  # noqa: ANN401 (whatever it holds)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str | None:  # noqa: ANN401 (whatever a cell holds)
    if value is None or value is False or _is_nan(value):
        return None
    return " ".join(_decoded(value).split())[:_MOST] or None


def _is_wish(value: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = _of_json(value)
    if isinstance(value, list):
        return any(map(_is_wish, value))
    if isinstance(value, Mapping):
        return any(map(_is_wish, value.values()))
    text = "" if value is None else _decoded(value).strip().lower()
    if text in _NO:
        return False
    try:
        number = float(text)
    except ValueError:
        return True
    return number != 0 and not math.isnan(number)


def _is_nan(value: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    return isinstance(value, float) and math.isnan(value)  # which is how pandas writes null


def _decoded(value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
