"""Lists of inference.sh's API: pages, cursors and filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.serve.dialects.base import time_of
from jobs.serve.errors import ApiError, wrong
from jobs.serve.store.history import Filter
from jobs.serve.task import State

_MOST_ON_A_PAGE = 100
_STATES: Mapping[str, Callable[[frozenset[State], frozenset[State]], frozenset[State]]] = {
    "eq": lambda _, given: given,
    "in": lambda _, given: given,
    "neq": lambda every, given: every - given,
    "not_in": lambda every, given: every - given,
}
_TIMES = ("gte", "lt")
_FILE_CURSOR = re.compile(r"(?P<at>[0-9]{1,15})-(?P<id>[a-z]{28})")


def page(items: Sequence[Any], next_cursor: str, limit: int) -> dict[str, Any]:
    """Return a page of a list."""
    return {
        "items": list(items),
        "next_cursor": next_cursor,
        "prev_cursor": "",
        "has_next": bool(next_cursor),
        "has_previous": False,
        "items_per_page": limit,
    }


def page_size(body: Mapping[str, Any]) -> int:
    """Return the number of items that a request wants on a page.

    Raises:
        ApiError: it is outside 1 to 100.
    """
    value = body.get("limit") or 20
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_ON_A_PAGE:
        raise wrong("limit", f"give a number from 1 to {_MOST_ON_A_PAGE}")
    return value


def cursor_of(value: object) -> int | None:
    """Return the place in a list at which a page begins; None: the start.

    Raises:
        ApiError: the cursor is not one of this server.
    """
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not value.isdecimal() or len(value) > 18:
        raise _unknown_cursor()
    return int(value)


def file_cursor_of(value: object) -> tuple[int, str] | None:
    """Return the time and the id of the file after which a page of files begins; None: the start.

    Raises:
        ApiError: the cursor is not one of this server.
    """
    if value in (None, ""):
        return None
    match = _FILE_CURSOR.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _unknown_cursor()
    return int(match["at"]), match["id"]


def _unknown_cursor() -> ApiError:
    return wrong("cursor", "give the next_cursor of the page before")


def times_of(body: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the first time of the files that a request selects, and the time before which, in ms.

    Raises:
        ApiError: a filter is not one of `created_at`.
    """
    chosen = filter_of(body)
    if chosen.states is not None:
        raise wrong("filters", "files have no status; give created_at with gte, lt")
    return chosen.since, chosen.before


def filter_of(body: Mapping[str, Any]) -> Filter:
    """Return the tasks that the filters of a request select: by `status`, and by `created_at`.

    Raises:
        ApiError: a filter is of another kind.
    """
    filters = body.get("filters") or []
    if not isinstance(filters, list):
        raise wrong("filters", "give a list")
    states, times = frozenset(State), dict[str, int | None]()
    for place, given in enumerate(filters):
        name = f"filters[{place}]"
        if not isinstance(given, dict):
            raise wrong(name, "give an object with field, operator and value")
        field, value = given.get("field"), given.get("value")
        operator = str(given.get("operator"))
        if field == "status" and operator in _STATES:
            states &= _STATES[operator](frozenset(State), _states(value, f"{name}.value"))
        elif field == "created_at" and operator in _TIMES:
            times[operator] = time_of(value, f"{name}.value")
        else:
            accepted = f"status with {', '.join(_STATES)}, or created_at with {', '.join(_TIMES)}"
            raise wrong(name, f"this filter is not known; give {accepted}")
    chosen = None if states == frozenset(State) else sorted(states)
    return Filter(states=chosen, since=times.get("gte"), before=times.get("lt"))


def _states(value: object, field: str) -> frozenset[State]:
    """Return the states with some numbers or names."""
    values = value if isinstance(value, list) else [value]
    return frozenset(_state(each, field) for each in values)


def _state(value: object, field: str) -> State:
    try:
        return State(value) if isinstance(value, int) else State[str(value).upper()]
    except (KeyError, ValueError) as error:
        raise wrong(field, f"{str(value)[:40]!r} is not a status") from error
