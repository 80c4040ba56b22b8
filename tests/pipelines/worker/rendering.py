"""Helpers for tests of the renderer: requests, threads, and streams and locks to watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

from pipelines.worker.batch_queue import DeviceLock, Rendered
from pipelines.worker.device_streams import DeviceStreams, HostStream, Marker
from pipelines.worker.renderer import Renderer
from tests.pipelines.pictures import picture
from tests.pipelines.tiny_models import tiny
from uso_core.model.inputs import PreparedRequest
from uso_core.request import StylizeRequest

TWO_STREAMS = DeviceStreams(HostStream(), HostStream())
WAIT_S = 30


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def prepared(*, number: int = 0, width: int = 32) -> PreparedRequest:
    """One request per number; requests of one width share their batch key."""
    request = StylizeRequest(
        prompt=f"number {number}",
        content_image=picture(seed=number),
        style_images=[picture(seed=50 + number)],
        width=width,
        height=32,
        num_steps=1,
        content_long_size=32,
    )
    return tiny().prepare(request)


def one_seed(number: int) -> range:
    return range(number, number + 1)


def alone(number: int) -> bytes:
    """The pixels of the first request with one seed, rendered alone."""
    return Renderer(tiny()).render(prepared(), one_seed(number)).images[0].tobytes()


def pixels(future: Future[Rendered]) -> bytes:
    return future.result(WAIT_S).images[0].tobytes()


def at(number: int, act: Callable[[int], None]) -> Callable[[int], None]:
    """Act before one image."""
    return lambda seed: act(seed) if seed == number else None


@contextmanager
def rows(renderer: Renderer) -> Iterator[Callable[[int], Future[Rendered]]]:
    """Render the first request with the seeds that are asked for, each in a thread of its own."""
    with ThreadPoolExecutor(8) as threads:
        yield lambda number: threads.submit(renderer.render, prepared(), one_seed(number))


class LaggingStream(HostStream):
    """A GPU's stream that is behind: it reaches a marker when the test says so.

    Attributes:
        marks: the markers in order. A row of one image has five: before and after its
            conditioning, before all steps, before and after its steps.
    """

    def __init__(self) -> None:
        self.marks: list[LaggingMarker] = []

    def mark(self) -> Marker:
        self.marks.append(LaggingMarker())
        return self.marks[-1]

    def reach(self, count: int) -> None:
        """Reach the first markers."""
        for mark in self.marks[:count]:
            mark.reached.set()

    def catch_up(self, futures: Sequence[Future[Rendered]]) -> None:
        """Reach every marker until all rows are done."""

        def all_done() -> bool:
            self.reach(len(self.marks))
            return all(future.done() for future in futures)

        until(all_done)


class LaggingMarker:
    """See `LaggingStream`.

    Attributes:
        waits: number of threads that have begun to wait for it.
        error: raised in a thread that has waited.
    """

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.waits = 0
        self.error: Exception | None = None

    def wait(self) -> None:
        self.waits += 1
        assert self.reached.wait(WAIT_S)
        if self.error is not None:
            raise self.error

    def ms_since(self, earlier: Marker) -> float:
        return 1


class WatchedDeviceLock(DeviceLock):
    """Notes for each thread that asks for the lock whether it has to wait.

    Attributes:
        had_to_wait: one entry per request for the lock, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.had_to_wait: list[bool] = []

    @contextmanager
    def take(
        self, unless: Callable[[], bool] = lambda: False, *, urgent: bool = False
    ) -> Iterator[bool]:
        with self._changed:
            self.had_to_wait.append(self._is_taken)
        with super().take(unless, urgent=urgent) as is_ours:
            yield is_ours


class WatchedLock:
    """A lock that one thread may take twice, with the notes of `WatchedDeviceLock`."""

    def __init__(self) -> None:
        self.had_to_wait: list[bool] = []
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        is_free = self._lock.acquire(blocking=False)
        self.had_to_wait.append(not is_free)
        if not is_free:
            assert self._lock.acquire(timeout=WAIT_S)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()


def watch_device_lock(renderer: Renderer) -> WatchedDeviceLock:
    """Replace the device lock of a renderer that is not in use yet."""
    renderer._device = watched = WatchedDeviceLock()
    return watched


def watch_decoder_lock(renderer: Renderer) -> WatchedLock:
    """Replace the decoder's lock of a renderer that is not in use yet."""
    watched = WatchedLock()
    renderer._decoder._lock = watched  # type: ignore[assignment]
    return watched
