"""Messages about a configuration that does not fit its model, in the terms of the YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.config.key_paths import KeyPath, is_secret, key_name
from pipelines.display import display_value

_KINDS = {
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "true or false"),
    "string": ("a string", "strings"),
    "null": ("null", "null"),
}
"""For each JSON type, the words for one value and for several."""

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel]
) -> list[tuple[KeyPath, str]]:
    """Return each problem as its key and a message that says what is accepted there.

    Keys that are not strings are left out: `pipelines.config.load` reports them.

    Args:
        error: the error of validating `data`.
        data: the content of the file, with overrides.
        model: the model that does not fit.
    """
    keys = _Keys(model.model_json_schema())
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors():
        if detail["type"] == "invalid_key":
            continue
        by_path.setdefault(_path_in(data, detail), []).append(detail)
    return [
        (path, _problem(path, details, keys))
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


def _problem(path: KeyPath, details: Sequence[ErrorDetails], keys: _Keys) -> str:
    for detail in details:
        if detail["type"] == "extra_forbidden":
            return keys.unknown(path)
        if detail["type"] == "missing":
            return f"is missing; give {keys.accepted(path)}"
        if detail["type"] == "value_error":
            return str(detail["ctx"]["error"])
    value = details[0]["input"]
    shown = f"a value of type {type(value).__name__}" if is_secret(path) else display_value(value)
    accepted = keys.accepted(path)
    quotes = ""
    if "string" in accepted and isinstance(value, int | float) and not is_secret(path):
        quotes = f' (in quotes: "{value}")'
    return f"{shown} is not accepted; give {accepted}{quotes}"


class _Keys:
    """The keys of a model and the values that each accepts, from its JSON schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    def accepted(self, path: KeyPath) -> str:
        """Describe the values that the key at `path` accepts."""
        return " or ".join(dict.fromkeys(self._words(node) for node in self._nodes(path)))

    def unknown(self, path: KeyPath) -> str:
        """Return the message about a key that does not exist."""
        *parent, key = path
        beside = [
            name for node in self._nodes(tuple(parent)) for name in node.get("properties", ())
        ]
        close = get_close_matches(str(key), beside, n=1)
        if close:
            return f"unknown key; did you mean {key_name((*parent, close[0]))}?"
        elsewhere = [where for where in self._all_keys() if where[-1] == key]
        if elsewhere:
            return f"unknown key; did you mean {key_name(elsewhere[0])}?"
        return f"unknown key; the keys here are {', '.join(beside)}"

    def _all_keys(self) -> Iterator[KeyPath]:
        for section in self._schema["properties"]:
            for node in self._nodes((section,)):
                yield from ((section, name) for name in node.get("properties", ()))

    def _nodes(self, path: KeyPath) -> list[Mapping[str, Any]]:
        """Return the schemas of the key at `path`, one for each kind of value that it accepts."""
        nodes = [self._schema]
        for part in path:
            nodes = [inner for node in self._branches(nodes) for inner in _inside(node, part)]
        return list(self._branches(nodes))

    def _branches(self, nodes: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for node in nodes:
            if "$ref" in node:
                yield from self._branches([self._schema["$defs"][node["$ref"].rpartition("/")[2]]])
            elif "anyOf" in node:
                yield from self._branches(node["anyOf"])
            else:
                yield node

    def _words(self, node: Mapping[str, Any], *, several: bool = False) -> str:
        """Describe one value, or several values in a list."""
        if "const" in node:
            return str(node["const"])
        if "enum" in node:
            return " or ".join(map(str, node["enum"]))
        if node.get("type") == "array":
            items = (self._words(item, several=True) for item in self._branches([node["items"]]))
            return f"a list of {' or '.join(dict.fromkeys(items))}"
        if node.get("type") == "object":
            keys = ", ".join(node.get("properties", ())) or "keys of your own"
            return f"sections with {keys}" if several else f"a section with {keys}"
        return _KINDS[node["type"]][several] + _bounds(node)


def _inside(node: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if isinstance(found, Mapping):
        yield found


def _bounds(node: Mapping[str, Any]) -> str:
    if "pattern" in node:
        return f" like {node['pattern']}"
    if "minimum" in node and "maximum" in node:
        return f" from {node['minimum']} to {node['maximum']}"
    words = [f"{word} {node[name]}" for name, word in _BOUNDS.items() if name in node]
    return f" of {' and '.join(words)}" if words else ""
