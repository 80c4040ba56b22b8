"""A size-bounded cache for encoded prompts, styles and content images that requests share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar, cast

from cachetools import LRUCache


class HasBytes(Protocol):
    """A value that the cache can keep: it reports its own size."""

    @property
    def nbytes(self) -> int:
        """Bytes of device memory."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """Counts of cache hits and misses."""

    hits: int = 0
    misses: int = 0

    def __add__(self, other: Lookups) -> Lookups:
        return Lookups(self.hits + other.hits, self.misses + other.misses)

    @property
    def count(self) -> int:
        """All lookups, hits and misses together."""
        return self.hits + self.misses


Value = TypeVar("Value", bound=HasBytes)


class ByteBoundedCache:
    """Keeps the most recently used values, up to `max_bytes` in total. Thread-safe.

    A value is stored unchanged, so a result does not depend on whether it came from the cache.

    Args:
        max_bytes: capacity in bytes; 0 disables the cache.
    """

    def __init__(self, max_bytes: int) -> None:
        self._values: LRUCache[Hashable, HasBytes] = LRUCache(
            max_bytes, getsizeof=lambda value: value.nbytes
        )
        self._lock = Lock()
        self._lookups: dict[str, Lookups] = {}

    def get_or_make(self, kind: str, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value cached under `key`; otherwise make it and cache it.

        Args:
            kind: kind of value; hits and misses are counted per kind.
            key: hashable; different values of one kind must have different keys.
            make: called without holding the lock; two threads may make the same value.
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
        """Hits and misses so far, by kind."""
        with self._lock:
            return dict(self._lookups)

    @property
    def nbytes(self) -> int:
        """Bytes that the cached values take now."""
        return int(self._values.currsize)
