"""Streams: work that a device does in the order in which it is given, and points in that work.

On a GPU, work is given and not waited for; what is given to two streams is done side by side. A CPU
does what it is given at once, so there a stream is as good as the threads that use it.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch


class Marker(Protocol):
    """A point in a stream's work: the end of all that was given to it before."""

    def wait(self) -> None:
        """Hold this thread, and no other, until the device has come to this point."""

    def ms_since(self, earlier: Marker) -> float:
        """Milliseconds from an earlier mark of the same stream, when both were waited for."""


class Stream(Protocol):
    """Work in order. Safe to use from several threads."""

    def current(self) -> AbstractContextManager[object]:
        """Within, what this thread gives to the device is given to this stream."""

    def mark(self) -> Marker:
        """The point to which the work has been given by now."""

    def follow(self, mark: Marker) -> None:
        """Let the device begin what is given next when it has come to another stream's mark."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Work between two marks of a stream.

    Attributes:
        begin: its first mark.
        end: its last.
        images: how many were drawn in it.
    """

    begin: Marker
    end: Marker
    images: int = 1

    @property
    def ms(self) -> float:
        """Milliseconds for each image, when `end` was waited for."""
        return self.end.ms_since(self.begin) / self.images


@dataclass(frozen=True, slots=True)
class DeviceStreams:
    """The streams on which a worker draws.

    Attributes:
        drawing: where requests are conditioned and denoised.
        decoding: where they are decoded beside the next ones; None: on `drawing`, before them.
    """

    drawing: Stream
    decoding: Stream | None = None


def device_streams(device: torch.device, *, beside: bool) -> DeviceStreams:
    """Return the streams of a device.

    Args:
        device: the device; a CPU gains nothing from a second stream.
        beside: the model allows decoding beside denoising.
    """
    if device.type != "cuda":
        return DeviceStreams(HostStream())
    drawing = GpuStream(torch.cuda.default_stream(device))
    if not beside:
        return DeviceStreams(drawing)
    second = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return DeviceStreams(drawing, GpuStream(second))


class HostStream:
    """A CPU's: what is given is done when the call returns."""

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
    """A moment, in seconds of `time.perf_counter`."""

    at_s: float

    def wait(self) -> None:
        """See `Marker`; it has passed."""

    def ms_since(self, earlier: Marker) -> float:
        """See `Marker`."""
        assert isinstance(earlier, HostMarker)
        return (self.at_s - earlier.at_s) * 1e3


class GpuStream:
    """A GPU's.

    Its memory is a pool of its own: what another stream has freed is not used again here, nor the
    other way round. A tensor that was made on one stream must be kept until the work on it that
    was given to another was waited for. torch gives each thread and stream its own workspace of
    cuBLAS (32 MiB on Hopper), without which sums beside each other could differ in their last bits.
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
    """An event; a thread that waits for it sleeps."""

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
