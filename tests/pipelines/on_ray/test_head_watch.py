from __future__ import annotations

import socket
import time
from contextlib import closing

from pipelines.on_ray.head_watch import HeadWatch


def listen(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), reuse_port=True)


def becomes(watch: HeadWatch, lost: bool) -> bool:
    give_up_at = time.monotonic() + 5
    while watch.lost != lost and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return watch.lost == lost


def test_a_head_that_answers_is_not_lost_and_one_that_is_gone_is() -> None:
    with listen() as head:
        port = head.getsockname()[1]
        with closing(HeadWatch(f"127.0.0.1:{port}", patience_s=0.3, every_s=0.02)) as watch:
            time.sleep(0.4)
            assert not watch.lost
            head.close()
            assert becomes(watch, lost=True)


def test_a_head_that_comes_back_in_time_is_not_lost() -> None:
    with listen() as head:
        port = head.getsockname()[1]
        with closing(HeadWatch(f"127.0.0.1:{port}", patience_s=0.5, every_s=0.02)) as watch:
            time.sleep(0.1)
            head.close()
            time.sleep(0.2)
            with listen(port):
                give_up_at = time.monotonic() + 0.6
                while time.monotonic() < give_up_at:
                    assert not watch.lost
                    time.sleep(0.05)


def test_a_head_that_never_answered_is_not_missed() -> None:
    with listen() as head:
        port = head.getsockname()[1]
    with closing(HeadWatch(f"127.0.0.1:{port}", patience_s=0.1, every_s=0.02)) as watch:
        time.sleep(0.4)
        assert not watch.lost
