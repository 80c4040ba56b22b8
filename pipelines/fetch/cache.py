"""Fetched files in memory: bounded, least recently used out first, each fetched by one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from cachetools import LRUCache

from pipelines.fetch.fetched import Fetched


class FetchCache:
    """URI → bytes, safe to share between threads.

    Threads that want the same URI at the same time wait for the one that fetches it, and share its
    failure; nobody else does.

    Attributes:
        hits: lookups answered without a fetch of their own.
        misses: lookups that fetched.
        fetched_bytes: of what they fetched.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits = 0
        self.misses = 0
        self.fetched_bytes = 0
        self._lock = threading.Lock()
        self._kept: LRUCache[str, Fetched] = LRUCache(max_bytes, getsizeof=_size)
        self._under_way: dict[str, Future[Fetched]] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes kept now."""
        with self._lock:
            return int(self._kept.currsize)

    def get(self, uri: str, fetch: Callable[[], Fetched]) -> Fetched:
        """What is kept for `uri`, else what `fetch` returns; its errors pass through."""
        with self._lock:
            kept = self._kept.get(uri)
            flight = self._under_way.get(uri)
            if kept is not None or flight is not None:
                self.hits += 1
            else:
                self.misses += 1
                self._under_way[uri] = own = Future[Fetched]()
        if kept is not None:
            return kept
        if flight is not None:
            return flight.result()
        return self._fly(uri, fetch, own)

    def _fly(self, uri: str, fetch: Callable[[], Fetched], flight: Future[Fetched]) -> Fetched:
        try:
            fetched = fetch()
        except BaseException as error:
            with self._lock:
                del self._under_way[uri]
            flight.set_exception(error)
            raise
        with self._lock:
            del self._under_way[uri]
            self.fetched_bytes += _size(fetched)
            if _size(fetched) <= self._kept.maxsize:
                self._kept[uri] = fetched
        flight.set_result(fetched)
        return fetched


def _size(fetched: Fetched) -> int:
    return len(fetched.data)
