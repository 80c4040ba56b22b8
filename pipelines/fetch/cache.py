"""An LRU cache of fetched files, in which one thread fetches for all that want the same file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from cachetools import LRUCache

from pipelines.fetch.fetched import Fetched


class FetchCache:
    """Files by their URI; safe to share between threads.

    Threads that want a URI while another thread fetches it wait for that thread, and share its
    failure. A failure is not cached.

    Attributes:
        hits: lookups that needed no fetch of their own.
        misses: lookups that fetched.
        fetched_bytes: total size of the fetched files.
    """

    def __init__(self, max_bytes: int) -> None:
        self.hits = 0
        self.misses = 0
        self.fetched_bytes = 0
        self._lock = threading.Lock()
        self._kept: LRUCache[str, Fetched] = LRUCache(max_bytes, getsizeof=_size)
        self._in_flight: dict[str, Future[Fetched]] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes in the cache."""
        with self._lock:
            return int(self._kept.currsize)

    def get(self, uri: str, fetch: Callable[[], Fetched]) -> Fetched:
        """Return the cached file for `uri`, else the result of `fetch`; its errors pass through."""
        with self._lock:
            kept = self._kept.get(uri)
            flight = self._in_flight.get(uri)
            if kept is not None or flight is not None:
                self.hits += 1
            else:
                self.misses += 1
                self._in_flight[uri] = own = Future[Fetched]()
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
                del self._in_flight[uri]
            flight.set_exception(error)
            raise
        with self._lock:
            del self._in_flight[uri]
            self.fetched_bytes += _size(fetched)
            if _size(fetched) <= self._kept.maxsize:
                self._kept[uri] = fetched
        flight.set_result(fetched)
        return fetched


def _size(fetched: Fetched) -> int:
    return len(fetched.data)
