"""Rows that wait in line for one device, decoded in their turn or beside the next row."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.engine.measure import Device
from pipelines.worker.device_streams import DeviceStreams, HostStream, device_streams
from pipelines.worker.renderer import Renderer
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest

_THREADS = 4  # rows at hand: enough that the device never waits for one


@dataclass(frozen=True, kw_only=True)
class Queued:
    """What a queue of rows took.

    Attributes:
        in_turn: rows per second, each decoded before the next begins.
        beside: rows per second, each decoded while the next is conditioned and denoised.
        same_bytes: whether both drew the same.
    """

    in_turn: float
    beside: float
    same_bytes: bool


def measure_queue(
    pipeline: USOPipeline, requests: Sequence[StylizeRequest], device: Device
) -> Queued:
    """Draw a queue of requests twice, after its first one for nothing."""
    drawing = device_streams(pipeline.device, beside=True).drawing
    two_lanes = device_streams(pipeline.device, beside=True) if device.is_gpu else _two_of_a_cpu()
    in_turn, pictures = _rows_per_s(
        Renderer(pipeline, lanes=DeviceStreams(drawing)), requests, device
    )
    beside, same = _rows_per_s(Renderer(pipeline, lanes=two_lanes), requests, device)
    return Queued(in_turn=in_turn, beside=beside, same_bytes=pictures == same)


def queue_table(results: dict[str, Queued], count: int) -> list[str]:
    """A row for each way."""
    lines = [f"| {count} rows | in turn, rows/s | beside the next, rows/s | same bytes |"]
    lines.append("|---|---|---|---|")
    for name, got in results.items():
        same = "yes" if got.same_bytes else "no"
        lines.append(f"| {name} | {got.in_turn:.3f} | {got.beside:.3f} | {same} |")
    return lines


def _rows_per_s(
    drawer: Renderer, requests: Sequence[StylizeRequest], device: Device
) -> tuple[float, list[bytes]]:
    prepared = [drawer.pipeline.prepare(request) for request in requests]
    seeds = [request.seeds for request in requests]
    drawer.draw(prepared[0], seeds[0])
    began = device.now()
    with ThreadPoolExecutor(_THREADS) as threads:
        drawings = list(threads.map(drawer.draw, prepared, seeds))
    rate = len(requests) / (device.now() - began)
    return rate, [drawing.images[0].tobytes() for drawing in drawings]


def _two_of_a_cpu() -> DeviceStreams:
    """No gain there; it shows that this runs."""
    return DeviceStreams(HostStream(), HostStream())
