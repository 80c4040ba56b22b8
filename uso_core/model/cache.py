"""A bounded cache for what repeats across requests: prompts, styles, content images."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar, cast

from cachetools import LRUCache


class HasBytes(Protocol):
    """What can be kept: it knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """How often something was found in a cache, and how often it was not."""

    hits: int = 0
    misses: int = 0

    def __add__(self, other: Lookups) -> Lookups:
        return Lookups(self.hits + other.hits, self.misses + other.misses)

    @property
    def count(self) -> int:
        """Of both kinds."""
        return self.hits + self.misses


Value = TypeVar("Value", bound=HasBytes)


class ByteBoundedCache:
    """Keeps the values used last, up to `max_bytes` in all. Safe to use from several threads.

    A value is kept as it was made, so that a result does not depend on whether it was found.

    Args:
        max_bytes: 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._values: LRUCache[Hashable, HasBytes] = LRUCache(
            max_bytes, getsizeof=lambda value: value.nbytes
        )
        self._lock = Lock()
        self._lookups: dict[str, Lookups] = {}

    def get_or_make(self, kind: str, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value that was kept under `key`, else what `make` returns.

        Args:
            kind: of value; lookups are counted apart for each.
            key: must tell apart values of a kind that differ.
            make: called without the lock; two threads may make the same value.
        """
        with self._lock:
            kept = self._values.get((kind, key))
            lookup = Lookups(hits=1) if kept is not None else Lookups(misses=1)
            self._lookups[kind] = self._lookups.get(kind, Lookups()) + lookup
        if kept is not None:
            return cast("Value", kept)
        value = make()
        if value.nbytes <= self._values.maxsize:
            with self._lock:
                self._values[kind, key] = value
        return value

    @property
    def lookups(self) -> dict[str, Lookups]:
        """So far, by kind."""
        with self._lock:
            return dict(self._lookups)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        return int(self._values.currsize)
