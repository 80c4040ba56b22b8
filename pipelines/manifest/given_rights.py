"""Licences and wishes that the manifest states, in columns of the user's own.

The columns stay the user's: they go to the records unchanged, and change neither fingerprints nor
digests. They are read in addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.reference_facts import ReferenceRights

LICENCE_COLUMNS = ("licence", "license")
NOAI_COLUMN = "noai"
RIGHTS_COLUMNS = frozenset({*LICENCE_COLUMNS, NOAI_COLUMN})
_NO = frozenset({"", "0", "false", "no", "none", "null", "off"})
_MOST = 200


def given_rights(own: Mapping[str, Any], num_references: int) -> tuple[ReferenceRights, ...]:
    """Return what the user's own columns state about each reference of a row.

    A list with one item for each reference, the content image first, states them one by one; any
    other value states it for all. A value of `noai` that does not plainly say no is a wish.

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
    if isinstance(value, list):
        if len(value) == count:
            return value
        return [next((item for item in value if _is_wish(item)), None)] * count
    return [value] * count


def _text(value: Any) -> str | None:  # noqa: ANN401 (whatever a cell holds)
    if value is None:
        return None
    return " ".join(str(value).split())[:_MOST] or None


def _is_wish(value: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    if value is None:
        return False
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip().lower() not in _NO
