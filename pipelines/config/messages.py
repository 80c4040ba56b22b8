"""Messages about a configuration that does not fit its model, in the terms of the YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.config.accepted import AcceptedValues
from pipelines.config.key_paths import KeyPath, is_secret, key_name
from pipelines.display import display_value


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel]
) -> list[tuple[KeyPath, str]]:
    """Return each problem as its key and a message with the accepted values.

    Keys that are not strings are left out: `pipelines.config.load` reports them.

    Args:
        error: the error of validating `data`.
        data: the content of the file, with overrides.
        model: the model that does not fit.
    """
    accepted = AcceptedValues(model)
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors():
        if detail["type"] == "invalid_key" or detail["loc"][-1:] == ("[key]",):
            continue
        by_path.setdefault(_path_in(data, detail), []).append(detail)
    return [
        (path, _problem(path, details, accepted))
        for path, details in by_path.items()
        # If a value fits one branch of a union but for an error inside, the errors of the other
        # branches, which are about the value as a whole, are noise.
        if not any(other[: len(path)] == path and other != path for other in by_path)
    ]


def _path_in(data: Any, detail: ErrorDetails) -> KeyPath:  # noqa: ANN401 (any YAML value)
    """Return the location of an error, without the names of union branches in it."""
    path: list[str | int] = []
    for part in detail["loc"]:
        is_key = isinstance(data, Mapping) and part in data
        if is_key or (isinstance(data, list) and isinstance(part, int)):
            data = data[part]
            path.append(part)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _problem(path: KeyPath, details: Sequence[ErrorDetails], accepted: AcceptedValues) -> str:
    for detail in details:
        if detail["type"] == "extra_forbidden":
            return _unknown(path, accepted)
        if detail["type"] == "missing":
            return f"is missing; give {accepted.of(path)}"
        if detail["type"] == "value_error":
            return str(detail["ctx"]["error"])
    value, words = details[0]["input"], accepted.of(path)
    if is_secret(path):
        return f"a value of type {type(value).__name__} is not accepted; give {words}"
    quotes = ""
    if "string" in words and isinstance(value, int | float):
        quotes = f' (in quotes: "{value}")'
    return f"{display_value(value)} is not accepted; give {words}{quotes}"


def _unknown(path: KeyPath, accepted: AcceptedValues) -> str:
    """Return the message about a key that does not exist."""
    *parent, key = path
    beside = accepted.keys_in(tuple(parent))
    if not beside:
        return "unknown key; there are no keys here"
    close = get_close_matches(str(key), beside, n=1)
    if close:
        return f"unknown key; did you mean {key_name((*parent, close[0]))}?"
    elsewhere = [where for where in accepted.all_keys() if where[-1] == key]
    if elsewhere:
        return f"unknown key; did you mean {key_name(elsewhere[0])}?"
    return f"unknown key; the keys here are {', '.join(beside)}"
