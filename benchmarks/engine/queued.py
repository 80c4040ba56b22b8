"""Rows that queue for one device, decoded in turn or in parallel with the next row."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.engine.measure import Device
from pipelines.worker.device_streams import DeviceStreams, HostStream, device_streams
from pipelines.worker.renderer import Renderer
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest

_THREADS = 4  # rows in progress: enough that the device never waits for one


@dataclass(frozen=True, kw_only=True)
class Queued:
    """The measurements of a queue of rows.

    Attributes:
        in_turn: rows per second if each is decoded before the next begins.
        beside: rows per second if each is decoded while the next is conditioned and denoised.
        same_bytes: True if both gave the same images.
    """

    in_turn: float
    beside: float
    same_bytes: bool


def measure_queue(
    pipeline: USOPipeline, requests: Sequence[StylizeRequest], device: Device
) -> Queued:
    """Generate a queue of requests twice, after one request as a warm-up."""
    denoising = device_streams(pipeline.device, beside=True).denoising
    two_streams = device_streams(pipeline.device, beside=True) if device.is_gpu else _two_of_a_cpu()
    in_turn, images = _rows_per_s(
        Renderer(pipeline, streams=DeviceStreams(denoising)), requests, device
    )
    beside, same = _rows_per_s(Renderer(pipeline, streams=two_streams), requests, device)
    return Queued(in_turn=in_turn, beside=beside, same_bytes=images == same)


def queue_table(results: dict[str, Queued], count: int) -> list[str]:
    """Return the table, with a row for each way."""
    lines = [f"| {count} rows | in turn, rows/s | beside the next, rows/s | same bytes |"]
    lines.append("|---|---|---|---|")
    for name, queued in results.items():
        same = "yes" if queued.same_bytes else "no"
        lines.append(f"| {name} | {queued.in_turn:.3f} | {queued.beside:.3f} | {same} |")
    return lines


def _rows_per_s(
    renderer: Renderer, requests: Sequence[StylizeRequest], device: Device
) -> tuple[float, list[bytes]]:
    prepared = [renderer.pipeline.prepare(request) for request in requests]
    seeds = [request.seeds for request in requests]
    renderer.render(prepared[0], seeds[0])
    began = device.now()
    with ThreadPoolExecutor(_THREADS) as threads:
        results = list(threads.map(renderer.render, prepared, seeds))
    rate = len(requests) / (device.now() - began)
    return rate, [result.images[0].tobytes() for result in results]


def _two_of_a_cpu() -> DeviceStreams:
    """Return two streams of a CPU; they gain nothing, but the code path runs."""
    return DeviceStreams(HostStream(), HostStream())
