"""A bounded cache for what repeats across requests: prompts, styles, content images."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol, TypeVar, cast

from cachetools import LRUCache


class HasBytes(Protocol):
    """What can be kept: it knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""


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

    def get_or_make(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value that was kept under `key`, else what `make` returns.

        Args:
            key: must tell apart values that differ, in kind as well as in content.
            make: called without the lock; two threads may make the same value.
        """
        with self._lock:
            kept = self._values.get(key)
        if kept is not None:
            return cast("Value", kept)
        value = make()
        if value.nbytes <= self._values.maxsize:
            with self._lock:
                self._values[key] = value
        return value

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        return int(self._values.currsize)
