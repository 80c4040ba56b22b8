"""CPU cost of the pipeline around the model, per row, for each stage of the driver and of an actor.

    python -m benchmarks.overhead                  # 50,000 rows without Ray, 20,000 with it
    python -m benchmarks.overhead --rows 5000 --ray-rows 5000

The driver's stages are the real ones on a real manifest and a real ledger, on this machine's disk.
The workers answer at once: first within this process, then as two Ray actors, which shows the cost
of the calls. An actor's stages run in one thread on a photograph of 1024x1024 pixels. Prints the
table of docs/benchmarks.md; times are CPU, over all threads of the process.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from transformers import SiglipImageProcessorPil

from benchmarks.driver_cpu import CpuWatch
from benchmarks.instant_pool import InstantPool, drive, instant_config
from benchmarks.pipeline import NoWork, write_rows
from pipelines.config.inputs import FetchConfig
from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.pending import RowSelection
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.driver.prepare import PreparedRun, prepare
from pipelines.driver.recorder import Recorder
from pipelines.driver.run import run
from pipelines.fetch.fetcher import Fetcher
from pipelines.formats import ImageEncoding
from pipelines.rows import Entry, ManifestRow, is_valid
from pipelines.storage.storage import Storage
from pipelines.telemetry.stats import RunStats
from pipelines.worker.sink import FolderSink, ImageFile
from uso_core.model import inputs as requests
from uso_core.request import Limits, Parameters, StylizeRequest

_PHOTO = Path(__file__).parents[1] / "examples" / "demo" / "photos" / "cat.jpg"
_SIDE = 1024
_MANY = 256
Cost = tuple[str, float]  # a stage, and CPU seconds per row


class Entries:
    """Rows that have already been read; a `RowSource`."""

    def __init__(self, entries: list[Entry[ManifestRow]]) -> None:
        self._left = deque(entries)

    @property
    def exhausted(self) -> bool:
        """True if all rows have been taken."""
        return not self._left

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take the next rows."""
        return [self._left.popleft() for _ in range(min(most, len(self._left)))]


def driver_costs(folder: Path, rows: int) -> Iterator[Cost]:
    """Measure the driver's stages one by one, then its whole loop, all without Ray."""
    manifest = folder / "manifest.parquet"
    write_rows(manifest, rows)
    with prepare(instant_config(manifest, folder / "by-stage")) as prepared:
        entries: list[Entry[ManifestRow]] = []
        yield "read, parse, look up", timed(lambda: entries.extend(_pending(prepared))) / rows
        settled: list[Settled] = []
        yield "dispatch", timed(lambda: settled.extend(_dispatched(prepared, entries, 2))) / rows
        to_many = timed(lambda: deque(_dispatched(prepared, entries, _MANY), maxlen=0))
        yield f"dispatch, {_MANY} workers", to_many / rows
        at_the_end = prepared.config.output.model_copy(update={"commit_rows": rows + 1})
        recorder = Recorder(
            prepared.ledger, prepared.facts, at_the_end, prepared.confirm_lease, clock=lambda: 0
        )
        yield "make records", timed(lambda: _record(recorder, settled)) / rows
        yield "commit them", timed(recorder.flush) / rows
        recorder.close()
    with prepare(instant_config(manifest, folder / "whole")) as prepared:
        yield (
            "the driver's whole loop",
            timed(lambda: drive(prepared, InstantPool(prepared.spec))) / rows,
        )


def ray_cost(folder: Path, rows: int) -> float:
    """Return the driver's CPU seconds per row, in a whole run with two Ray actors."""
    manifest = folder / "for-ray.parquet"
    write_rows(manifest, rows)
    watch = CpuWatch()
    run(instant_config(manifest, folder / "with-ray"), listener=watch, make_worker=NoWork)
    first, last = watch.at_work
    return (last.driver_s - first.driver_s) / (last.rows - first.rows)


def actor_costs(folder: Path, rounds: int = 20) -> Iterator[Cost]:
    """Measure an actor's stages around the model, in one thread."""
    photo = folder / "photo.jpg"
    picture = _picture()
    picture.save(photo, quality=92)
    fetcher = Fetcher(FetchConfig(local_roots=[str(folder)]))
    yield "read and decode a reference (JPEG)", _each(rounds, lambda: fetcher.fetch(str(photo)))
    processor = SiglipImageProcessorPil(size={"height": 384, "width": 384}, resample=3)
    request = StylizeRequest(content_image=picture, style_images=[picture])
    prepared = _each(rounds, lambda: requests.prepare(request, Limits(), processor))
    yield "prepare a content and a style image", prepared
    encoding = ImageEncoding()
    yield "encode the image (PNG)", _each(rounds, lambda: encoding.encode(picture))
    sink, file = FolderSink(Storage.at(str(folder))), ImageFile(encoding.encode(picture), "png")
    row = ManifestRow("row", "", None, (), Parameters(), "")
    yield "hash it and write it to disk", _each(rounds, lambda: sink.save(row, [file]))
    fetcher.close()


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process for `work`."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _each(rounds: int, work: Callable[[], object]) -> float:
    work()
    return timed(lambda: [work() for _ in range(rounds)]) / rounds


def _pending(prepared: PreparedRun) -> Iterator[Entry[ManifestRow]]:
    config = prepared.config
    selection = RowSelection(prepared.ledger, config.output, config.on_error, RunStats())
    for batch in selection.pending(prepared.manifest):
        yield from filter(is_valid, batch)


def _dispatched(
    prepared: PreparedRun, entries: list[Entry[ManifestRow]], workers: int
) -> Iterator[Settled]:
    policy = DispatchPolicy.from_config(prepared.config.stylize, prepared.dimensions.encoding)
    dispatcher = Dispatcher(InstantPool(prepared.spec, workers), Entries(entries), policy)
    while not dispatcher.done:
        yield from dispatcher.step(0)


def _record(recorder: Recorder, settled: list[Settled]) -> None:
    for each in settled:
        assert each.given_at is not None
        recorder.add(each.entry, each.outcome, each.attempt, each.given_at)


def _picture() -> Image.Image:
    """Return an enlarged photograph: a generated image of this size has as little detail."""
    with Image.open(_PHOTO) as image:
        return image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="rows without Ray")
    parser.add_argument("--ray-rows", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gc.freeze()  # a driver has no torch, whose objects each collection would scan
        print("| driver | µs of CPU per row |\n|---|---|")
        costs = list(driver_costs(folder, arguments.rows))
        with_ray = ray_cost(folder, arguments.ray_rows)
        costs += [("the same, with the calls of two Ray actors", with_ray)]
        for stage, cost_s in costs:
            print(f"| {stage} | {1e6 * cost_s:.0f} |")
        print("\n| actor | ms of CPU per row |\n|---|---|")
        for stage, cost_s in actor_costs(folder):
            print(f"| {stage} | {1e3 * cost_s:.1f} |")


if __name__ == "__main__":
    main()
