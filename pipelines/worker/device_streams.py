"""Device streams: queues of work that runs in order, with markers that threads can wait for.

On a GPU, submitting work does not wait for it, and two streams run side by side. A CPU does its
work within the call, so its streams are as parallel as the threads that use them.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch


class Marker(Protocol):
    """A point in a stream: the end of all work submitted before."""

    def wait(self) -> None:
        """Block this thread until the device has reached the marker."""

    def ms_since(self, earlier: Marker) -> float:
        """Return the milliseconds since an earlier marker of the same stream.

        Both markers must have been waited for.
        """


class Stream(Protocol):
    """A queue of work on a device. Thread-safe."""

    def current(self) -> AbstractContextManager[object]:
        """Submit this thread's work to this stream within the block."""

    def mark(self) -> Marker:
        """Record a marker after all work submitted so far."""

    def follow(self, mark: Marker) -> None:
        """Make later work of this stream wait for another stream's marker."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The work between two markers of a stream.

    Attributes:
        begin: marker before the work.
        end: marker after the work.
        images: number of images that share the work.
    """

    begin: Marker
    end: Marker
    images: int = 1

    @property
    def ms(self) -> float:
        """Milliseconds per image; `end` must have been waited for."""
        return self.end.ms_since(self.begin) / self.images


@dataclass(frozen=True, slots=True)
class DeviceStreams:
    """The streams of a worker.

    Attributes:
        denoising: conditions and denoises requests.
        decoding: decodes them while the next ones are denoised; None: `denoising` decodes each
            request before the next one.
    """

    denoising: Stream
    decoding: Stream | None = None


def device_streams(device: torch.device, *, beside: bool) -> DeviceStreams:
    """Return the streams of a device.

    Args:
        device: the device; a CPU gains nothing from a second stream.
        beside: True if the model can decode while it denoises.
    """
    if device.type != "cuda":
        return DeviceStreams(HostStream())
    denoising = GpuStream(torch.cuda.default_stream(device))
    if not beside:
        return DeviceStreams(denoising)
    second = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return DeviceStreams(denoising, GpuStream(second))


class HostStream:
    """A CPU's stream: work is done when the call returns."""

    def current(self) -> AbstractContextManager[object]:
        """See `Stream`."""
        return nullcontext()

    def mark(self) -> Marker:
        """See `Stream`."""
        return HostMarker(time.perf_counter())

    def follow(self, mark: Marker) -> None:
        """See `Stream`."""
        mark.wait()


@dataclass(frozen=True, slots=True)
class HostMarker:
    """A moment in time.

    Attributes:
        at_s: seconds of `time.perf_counter`.
    """

    at_s: float

    def wait(self) -> None:
        """See `Marker`; the moment has passed."""

    def ms_since(self, earlier: Marker) -> float:
        """See `Marker`."""
        assert isinstance(earlier, HostMarker)
        return (self.at_s - earlier.at_s) * 1e3


class GpuStream:
    """A GPU's stream.

    Each stream has its own memory pool, and never reuses memory that another stream has freed. A
    tensor made on one stream must be kept until another stream's work on it has been waited for.
    torch gives each thread and stream its own cuBLAS workspace (32 MiB on Hopper). With a shared
    one, sums that run at the same time could differ in their last bits.
    """

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream = stream

    def current(self) -> AbstractContextManager[object]:
        """See `Stream`."""
        return torch.cuda.stream(self._stream)

    def mark(self) -> Marker:
        """See `Stream`."""
        event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
        event.record(self._stream)
        return GpuMarker(event)

    def follow(self, mark: Marker) -> None:
        """See `Stream`."""
        assert isinstance(mark, GpuMarker)
        self._stream.wait_event(mark.event)


@dataclass(frozen=True, slots=True)
class GpuMarker:
    """A CUDA event; a thread that waits for it sleeps."""

    event: torch.cuda.Event

    def wait(self) -> None:
        """See `Marker`.

        Raises:
            torch.AcceleratorError: the device has failed.
        """
        self.event.synchronize()

    def ms_since(self, earlier: Marker) -> float:
        """See `Marker`."""
        assert isinstance(earlier, GpuMarker)
        milliseconds: float = earlier.event.elapsed_time(self.event)
        return milliseconds
