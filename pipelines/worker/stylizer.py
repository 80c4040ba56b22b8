"""The body of a worker: a row in, an outcome out. Knows no Ray.

Rows are worked on by several threads at once: each fetches its references, waits for its turn on
the device, and encodes and stores while the next one draws.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.storage.storage import Storage
from pipelines.worker.activity import Activity, Tally, WorkerInfo
from pipelines.worker.sink import FolderSink, ImageFile, Sink
from pipelines.worker.spec import StylizerSpec
from uso_core.errors import InvalidRequestError
from uso_core.model.cache import Lookups
from uso_core.request import Parameters, StylizeRequest

if TYPE_CHECKING:
    from pipelines.worker.batch_queue import Rendered
    from uso_core.protocol import AnyPipeline

logger = logging.getLogger(__name__)


class Stylizer:
    """Holds one pipeline and works on rows; `stylize` is called from several threads at once.

    Memory beside the model: `fetch.cache_mb`, and for each row its decoded references (up to
    `fetch.max_megapixels` each, at 1 to 4 bytes a pixel) until they are resized, then its drawn
    images until they are stored.
    """

    def __init__(
        self,
        spec: StylizerSpec,
        *,
        pipeline: AnyPipeline | None = None,
        sink: Sink | None = None,
    ) -> None:
        """Load the model.

        Args:
            spec: the model, and how rows are fetched and encoded.
            pipeline: a pipeline for this object alone; absent: the one that the spec describes.
            sink: takes the images; absent: the folder `spec.output`.

        Raises:
            CheckpointError, StorageError: see `load_pipeline`.
            ValueError: there is neither a sink nor an output.
        """
        # Not before: see their docstrings.
        from pipelines.worker.loading import load_pipeline  # noqa: PLC0415
        from pipelines.worker.renderer import Renderer  # noqa: PLC0415

        self._encoding = spec.encoding
        self._sink = sink or _folder_of(spec)
        if pipeline is None:
            pipeline = load_pipeline(spec.model, spec.storage, spec.torch_threads)
        self._drawer = Renderer(pipeline, batch_images=spec.batch_images)
        self._fetcher = Fetcher(spec.fetch, spec.storage)
        self._pool = ThreadPoolExecutor(spec.fetch.concurrency, thread_name_prefix="fetch")
        self._tally = Tally()
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", self._drawer.device_name, node, pid)

    def info(self) -> WorkerInfo:
        """Where this worker runs."""
        return self._info

    def activity(self) -> Activity:
        """What it is doing now; cheap."""
        counts = self._fetcher.cache_counts
        return Activity(
            **self._tally.now(),
            cache_hits=counts.hits,
            cache_misses=counts.misses,
            fetched_bytes=counts.fetched_bytes,
            stored_bytes=self._tally.stored_bytes,
        )

    def stylize(self, row: ManifestRow) -> Outcome:
        """Fetch, draw and store one row.

        Safe to repeat: images go to names that come from the row, and the same row gives the same
        bytes. The outcome is returned when all images are stored.

        Returns:
            The outcome; where the row is at fault, with a failure. Bugs raise.
        """
        outcome = self._outcome_of(row)
        logger.debug(
            "row_done row_id=%s status=%s timings_ms=%s",
            row.id, outcome.status, asdict(outcome.timings),
        )  # fmt: skip
        return outcome

    def close(self) -> None:
        """Let go of threads and connections; rows under way fail."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._fetcher.close()

    def _outcome_of(self, row: ManifestRow) -> Outcome:
        timings: dict[str, float] = {}
        try:
            return self._completed(row, timings)
        except RowFailedError as error:
            failure = error.failure
        except InvalidRequestError as error:
            failure = Failure("invalid_request", str(error))
        return self._outcome(row, timings, failure=failure)

    def _completed(self, row: ManifestRow, timings: dict[str, float]) -> Outcome:
        with self._tally.counted("fetching"), _timed(timings, "fetch"):
            # Resizing belongs here: it needs no device, and large originals are gone after it.
            prepared = self._drawer.pipeline.prepare(self._request(row))
        with self._tally.counted("drawing"):
            drawing = self._drawer.draw(prepared, row.parameters.seeds)
        timings |= {
            "condition": drawing.condition_ms,
            "inference": drawing.inference_ms,
            "decode": drawing.decode_ms,
        }
        with self._tally.counted("storing"), _timed(timings, "store"):
            stored = self._sink.save(row, self._encoded(drawing))
        self._tally.add_stored(sum(image.num_bytes for image in stored))
        return self._outcome(
            row,
            timings,
            drawing=drawing,
            outputs=tuple(image.uri for image in stored),
            sha256=tuple(image.sha256 for image in stored),
        )

    def _encoded(self, drawing: Rendered) -> list[ImageFile]:
        encoding = self._encoding
        return [ImageFile(encoding.encode(each), encoding.extension) for each in drawing.images]

    def _request(self, row: ManifestRow) -> StylizeRequest:
        numbers = {f.name: getattr(row.parameters, f.name) for f in fields(Parameters)}
        # A long side of 0 leaves the content image out, so it need not be there.
        content = row.content_image if row.parameters.content_long_size else None
        references = [*row.style_images] if content is None else [content, *row.style_images]
        futures = [self._pool.submit(self._fetcher.fetch, reference) for reference in references]
        try:
            images = [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
        styles = images if content is None else images[1:]
        return StylizeRequest(
            prompt=row.prompt,
            content_image=None if content is None else images[0],
            style_images=styles,
            style_weights=row.style_weights,
            **numbers,
        )

    def _outcome(
        self,
        row: ManifestRow,
        timings: dict[str, float],
        *,
        failure: Failure | None = None,
        drawing: Rendered | None = None,
        outputs: tuple[str, ...] = (),
        sha256: tuple[str, ...] = (),
    ) -> Outcome:
        width, height = (None, None) if drawing is None else drawing.images[0].size
        return Outcome(
            row_id=row.id,
            failure=failure,
            outputs=outputs,
            sha256=sha256,
            width=width,
            height=height,
            prompt_truncated=None if drawing is None else drawing.prompt_truncated,
            decoded_beside=self._drawer.decodes_beside,
            timings=Timings(**timings),
            worker=self._info.worker,
            device=self._info.device,
            caches=self._caches(),
        )

    def _caches(self) -> dict[str, Lookups]:
        counts = self._fetcher.cache_counts
        references = Lookups(counts.hits, counts.misses)
        return {"references": references, **self._drawer.pipeline.cache_lookups}


def _folder_of(spec: StylizerSpec) -> FolderSink:
    output = spec.output
    if output is None:
        raise ValueError("the specification has no output; give it one, or give a sink")
    folder = Storage.at(output.path, spec.storage, patience_s=output.give_up_after_s)
    return FolderSink(folder)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = (time.perf_counter() - started) * 1e3
