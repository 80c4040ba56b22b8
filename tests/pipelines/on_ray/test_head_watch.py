from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from pipelines.on_ray.head_watch import HeadState, HeadWatch, knock
from tests.clock import Clock

GONE = ConnectionRefusedError("refused")


def test_silence_counts_from_the_first_failed_knock() -> None:
    clock = Clock()
    state = HeadState(30, clock)
    state.answered()
    clock.now += 1000  # suspended: nobody knocked
    assert not state.lost
    state.failed(GONE)
    clock.now += 30
    state.failed(GONE)
    assert not state.lost
    clock.now += 0.1
    assert state.lost


def test_an_answer_ends_the_silence() -> None:
    clock = Clock()
    state = HeadState(30, clock)
    state.answered()
    state.failed(GONE)
    clock.now += 29
    state.answered()
    clock.now += 29
    assert not state.lost
    state.failed(GONE)
    clock.now += 31
    assert state.lost


def test_a_head_that_never_answered_is_not_missed() -> None:
    clock = Clock()
    state = HeadState(30, clock)
    state.failed(GONE)
    clock.now += 1000
    state.failed(GONE)
    assert not state.lost


def test_a_knock_needs_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
        knock(f"127.0.0.1:{port}", 5)
    with pytest.raises(OSError, match=r".+"):
        knock(f"127.0.0.1:{port}", 5)


def test_the_thread_knocks_and_sees_a_head_that_is_gone() -> None:
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
        watch = HeadWatch(f"127.0.0.1:{port}", patience_s=30, every_s=0.01, clock=clock)
        with closing(watch):
            head.accept()[0].close()  # it has knocked
            head.close()
            passed = threading.Event()
            for _ in range(1000):
                clock.now += 31
                if watch.lost:
                    break
                passed.wait(0.01)
            assert watch.lost
