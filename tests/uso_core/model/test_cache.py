from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from uso_core.model.cache import ByteBoundedCache, Lookups


def counting(sizes: list[int], size: int = 100) -> Callable[[], torch.Tensor]:
    """Make a tensor of `size` bytes, and note the call."""

    def make() -> torch.Tensor:
        sizes.append(size)
        return torch.zeros(size, dtype=torch.uint8)

    return make


def test_what_is_kept_is_not_made_again() -> None:
    cache, made = ByteBoundedCache(1000), list[int]()
    first = cache.get_or_make("kind", "a", counting(made))
    assert cache.get_or_make("kind", "a", counting(made)) is first
    assert made == [100]


def test_the_bound_is_in_bytes_and_what_was_used_last_stays() -> None:
    cache, made = ByteBoundedCache(250), list[int]()
    for key in ("a", "b", "a", "c"):
        cache.get_or_make("kind", key, counting(made))
    assert cache.nbytes == 200
    cache.get_or_make("kind", "a", counting(made))
    assert len(made) == 3
    cache.get_or_make("kind", "b", counting(made))
    assert len(made) == 4


def test_what_is_too_large_is_made_each_time() -> None:
    cache, made = ByteBoundedCache(50), list[int]()
    for _ in range(2):
        assert cache.get_or_make("kind", "a", counting(made)).nbytes == 100
    assert len(made) == 2
    assert cache.nbytes == 0


def test_zero_bytes_keep_nothing() -> None:
    cache, made = ByteBoundedCache(0), list[int]()
    for _ in range(2):
        cache.get_or_make("kind", "a", counting(made))
    assert len(made) == 2


def test_threads_may_share_it() -> None:
    cache, made = ByteBoundedCache(500), list[int]()
    with ThreadPoolExecutor(8) as pool:
        keys = [i % 7 for i in range(400)]
        values = list(pool.map(lambda key: cache.get_or_make("kind", key, counting(made)), keys))
    assert len(values) == 400
    assert cache.nbytes <= 500


def test_kinds_are_kept_and_counted_apart() -> None:
    cache, made = ByteBoundedCache(1000), list[int]()
    for kind in ("prompts", "styles", "prompts", "prompts"):
        cache.get_or_make(kind, "a", counting(made))
    assert len(made) == 2
    assert cache.lookups == {"prompts": Lookups(2, 1), "styles": Lookups(0, 1)}
