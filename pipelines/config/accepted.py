"""The keys of a configuration and the values that they accept, in words, from a JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from pipelines.config.key_paths import KeyPath

Schema = Mapping[str, Any]

_KINDS = {
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "string": ("a string", "strings"),
}
"""For each JSON type, the words for one value and for several."""

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


class AcceptedValues:
    """The keys of a model and the values that each accepts."""

    def __init__(self, model: type[BaseModel], quote: Callable[[str], str] = str) -> None:
        """Read the schema of a model.

        Args:
            model: the model of a whole configuration.
            quote: marks a word that users type as it is, such as `auto`.
        """
        self._schema = model.model_json_schema()
        self._quote = quote

    def of(self, path: KeyPath, *, null: bool = True) -> str:
        """Describe the values that the key at `path` accepts.

        Args:
            path: the key.
            null: mention null if it is accepted.
        """
        found = [words for node in self._nodes(path) for words in self._alternatives(node)]
        hidden = () if null else (self._quote("null"),)
        return _either([words for words in dict.fromkeys(found) if words not in hidden])

    def keys_in(self, path: KeyPath) -> list[str]:
        """Return the keys of the section at `path`; an empty list if its keys are free."""
        return [name for node in self._nodes(path) for name in node.get("properties", ())]

    def all_keys(self) -> Iterator[KeyPath]:
        """Yield the path of every key of every section."""
        for section in self._schema["properties"]:
            yield from ((section, name) for name in self.keys_in((section,)))

    def _nodes(self, path: KeyPath) -> list[Schema]:
        """Return the schemas of the key at `path`, one for each kind of value that it accepts."""
        nodes: list[Schema] = [self._schema]
        for part in path:
            nodes = [inner for node in self._branches(nodes) for inner in _inside(node, part)]
        return list(self._branches(nodes))

    def _branches(self, nodes: Iterable[Schema]) -> Iterator[Schema]:
        for node in nodes:
            if "$ref" in node:
                yield from self._branches([self._schema["$defs"][node["$ref"].rpartition("/")[2]]])
            elif "anyOf" in node:
                yield from self._branches(node["anyOf"])
            else:
                yield node

    def _alternatives(self, node: Schema, *, several: bool = False) -> list[str]:
        """Describe the alternatives for one value, or for the values of a list."""
        literals = node.get("enum", [node["const"]] if "const" in node else [])
        kind = node.get("type")
        if kind == "boolean":
            literals = ["true", "false"]
        if kind == "null":
            literals = ["null"]
        if literals:
            return [self._quote(str(literal)) for literal in literals]
        if kind == "array":
            items = self._branches([node["items"]])
            each = [words for item in items for words in self._alternatives(item, several=True)]
            return [f"a list of {_either(list(dict.fromkeys(each)))}"]
        if kind == "object":
            named = ", ".join(map(self._quote, node.get("properties", ()))) or "keys of your own"
            return [f"sections with {named}" if several else f"a section with {named}"]
        return [_KINDS[node["type"]][several] + self._bounds(node)]

    def _bounds(self, node: Schema) -> str:
        if "pattern" in node:
            return f" like {self._quote(node['pattern'])}"
        if "minimum" in node and "maximum" in node:
            return f" from {node['minimum']} to {node['maximum']}"
        bounds = [f"{words} {node[name]}" for name, words in _BOUNDS.items() if name in node]
        if not bounds:
            return ""
        return f"{' of' if bounds[0].startswith('at') else ''} {' and '.join(bounds)}"


def _inside(node: Schema, part: str | int) -> Iterator[Schema]:
    if "items" in node:
        found = node["items"] if isinstance(part, int) else None
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if isinstance(found, Mapping):
        yield found


def _either(words: Sequence[str]) -> str:
    """Join alternatives: `a`, `a or b`, `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
