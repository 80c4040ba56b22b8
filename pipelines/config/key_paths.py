"""Keys of a configuration as paths, and the sections whose values may be secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KeyPath = tuple[str | int, ...]
"""The keys and list indexes that lead to a value."""

SECRET_SECTIONS: tuple[KeyPath, ...] = (
    ("storage",),
    ("ray", "env"),
    ("notify", "url"),
    ("notify", "secret"),
    ("fetch", "http", "proxy"),
    ("fetch", "http", "headers"),
    ("output", "provenance", "key"),
    ("output", "provenance", "signer_token"),
)
"""Sections in which `${NAME}` is replaced, and whose values are never shown."""

SIGNING_KEY: KeyPath = ("output", "provenance", "key")
"""The path of a file with a key, or a variable: the key itself is never in a configuration."""


def key_name(path: KeyPath) -> str:
    """Return a key as `--set` and messages write it, e.g. `stylize.actors`."""
    return ".".join(map(str, path))


def is_secret(path: KeyPath) -> bool:
    """Return True if the value at `path` may be a secret."""
    return any(path[: len(section)] == section for section in SECRET_SECTIONS)


def strings_in(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:  # noqa: ANN401
    """Yield every string in a value, with its path; see `values_in`."""
    for place, inner in values_in(value, path):
        if isinstance(inner, str):
            yield place, inner


def values_in(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:  # noqa: ANN401
    """Yield every value in a value that is not a collection, with its path.

    Args:
        value: a value of a configuration, e.g. a whole one as a dictionary.
        path: its own path.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values_in(inner, (*path, key))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, inner in enumerate(value):
            yield from values_in(inner, (*path, index))
    else:
        yield path, value
