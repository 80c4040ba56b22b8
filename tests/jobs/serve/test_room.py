"""Memory for large bodies: in order, bounded, and not for one key alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from jobs.serve import bodies
from jobs.serve.bodies import Room
from jobs.serve.errors import ApiError

SLOW, OTHER = "uso_slow", "uso_other"


def in_loop(work: Callable[[Room], Awaitable[None]]) -> None:
    async def run() -> None:
        await work(Room(200))

    asyncio.run(run())


async def asked(room: Room, num_bytes: int, key: str) -> asyncio.Task[int]:
    asking = asyncio.create_task(room.take(num_bytes, key))
    for _ in range(10):
        await asyncio.sleep(0)
    return asking


def test_the_bodies_of_one_key_leave_room_for_others() -> None:
    async def work(room: Room) -> None:
        assert await room.take(60, SLOW) == 60
        second, third = await asked(room, 60, SLOW), await asked(room, 40, SLOW)
        assert (second.done(), third.done()) == (False, True)
        assert await asyncio.wait_for(room.take(100, OTHER), 5) == 100
        room.give_back(60, SLOW)
        assert await asyncio.wait_for(second, 5) == 60

    in_loop(work)


def test_a_small_body_does_not_pass_a_large_one_for_ever() -> None:
    async def work(room: Room) -> None:
        await room.take(100, SLOW)
        await room.take(50, OTHER)
        large, small = await asked(room, 80, "uso_third"), await asked(room, 20, OTHER)
        assert not large.done()
        assert not small.done()
        room.give_back(100, SLOW)
        assert await asyncio.wait_for(large, 5) == 80
        assert await asyncio.wait_for(small, 5) == 20

    in_loop(work)


def test_a_body_that_waits_no_longer_lets_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(room: Room) -> None:
        await room.take(100, SLOW)
        await room.take(50, OTHER)
        large, small = await asked(room, 80, "uso_third"), await asked(room, 20, OTHER)
        large.cancel()
        assert await asyncio.wait_for(small, 5) == 20
        monkeypatch.setattr(bodies, "_ROOM_S", 0.01)
        with pytest.raises(ApiError, match="as many large bodies as it can"):
            await room.take(100, SLOW)
        room.give_back(100, SLOW)
        assert await asyncio.wait_for(room.take(100, SLOW), 5) == 100

    in_loop(work)


def test_a_body_larger_than_the_share_takes_all_of_it() -> None:
    async def work(room: Room) -> None:
        assert await room.take(500, SLOW) == 100
        assert not (await asked(room, 1, SLOW)).done()

    in_loop(work)
