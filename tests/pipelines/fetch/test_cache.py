from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fetch.cache import FetchCache
from pipelines.fetch.fetched import Fetched


class Source:
    """Serves `size` bytes for each URI, and counts the fetches."""

    def __init__(self, size: int = 10) -> None:
        self.asked: list[str] = []
        self._size = size

    def get(self, cache: FetchCache, uri: str, size: int | None = None) -> Fetched:
        def fetch() -> Fetched:
            self.asked.append(uri)
            return Fetched(uri.encode().ljust(self._size if size is None else size, b"."))

        return cache.get(uri, fetch)


def test_the_least_recently_used_goes_first() -> None:
    cache, source = FetchCache(30), Source()
    for uri in ("a", "b", "c", "a", "d", "a", "b"):
        assert source.get(cache, uri).data.startswith(uri.encode())
    assert source.asked == ["a", "b", "c", "d", "b"]
    assert (cache.hits, cache.misses) == (2, 5)


def test_a_file_larger_than_the_cache_is_passed_through() -> None:
    cache, source = FetchCache(30), Source()
    source.get(cache, "small")
    assert len(source.get(cache, "large", 31).data) == 31
    source.get(cache, "small")
    assert source.asked == ["small", "large"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=40))
def test_never_more_bytes_than_allowed(lookups: list[tuple[str, int]]) -> None:
    cache, source = FetchCache(50), Source()
    for uri, size in lookups:
        source.get(cache, uri, size)
        assert cache.num_bytes <= 50


@pytest.mark.parametrize("error", [None, ValueError("broken")], ids=["result", "failure"])
def test_those_who_wait_share_it(error: Exception | None) -> None:
    cache = FetchCache(100)
    entered, release = threading.Event(), threading.Event()
    calls = []

    def fetch() -> Fetched:
        calls.append(1)
        entered.set()
        assert release.wait(5)
        if error is not None:
            raise error
        return Fetched(b"body")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(cache.get, "a", fetch)]
        assert entered.wait(5)
        futures += [pool.submit(cache.get, "a", fetch) for _ in range(3)]
        while cache.hits < 3:
            time.sleep(0.001)
        release.set()
        if error is None:
            assert {future.result(5).data for future in futures} == {b"body"}
        else:
            assert [future.exception(5) for future in futures] == [error] * 4
    assert len(calls) == 1


def test_a_failure_is_forgotten_at_once() -> None:
    cache, source = FetchCache(100), Source()

    def broken() -> Fetched:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.get("a", broken)
    assert source.get(cache, "a").data.startswith(b"a")
