"""The body of a worker: takes a row and returns its outcome, without Ray.

Several threads work on rows at once. Each one fetches the references of its row, waits for the
device, and encodes and stores the images while the device renders the next row.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.provenance.references import ingredients_of
from pipelines.record import SCORES
from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.score_values import row_scores
from pipelines.versions import library_versions
from pipelines.worker.activity import Activity, Tally, WorkerInfo
from pipelines.worker.destinations import Place, Places, folder_of
from pipelines.worker.library_styles import LibraryStyles
from pipelines.worker.plugin_chain import GeneratedRow, PluginChain
from pipelines.worker.row_recipe import recipe_of
from pipelines.worker.scores.picture import Sources
from pipelines.worker.seen_references import Seen
from pipelines.worker.sink import ImageFile, Sink, StoredImage
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.steps import RowCancelledError, RowsAtWork, StepWatch
from uso_core.errors import InvalidRequestError
from uso_core.model.cache import Lookups
from uso_core.request import Parameters, StylizeRequest

if TYPE_CHECKING:
    from PIL import Image

    from pipelines.worker.batch_queue import Rendered
    from uso_core.protocol import AnyPipeline

logger = logging.getLogger(__name__)


class Stylizer:
    """Holds one pipeline and works on rows. Thread-safe.

    It takes memory beside the model: that of its `Fetcher`, and for each row its decoded references
    (up to `fetch.max_megapixels` each, 1 to 4 bytes per pixel; 8 while one is resized), then its
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
            spec: the model, and the settings for fetching and encoding.
            pipeline: the model; no other object may use it. Absent: the one in the spec.
            sink: takes the images; absent: the folder `spec.output`.

        Raises:
            CheckpointError, StorageError: see `load_pipeline`.
            ValueError: there is neither a sink nor an output.
        """
        # They import torch, which the driver's process must not do.
        from pipelines.worker.loading import load_pipeline  # noqa: PLC0415
        from pipelines.worker.renderer import Renderer  # noqa: PLC0415

        self._preset = spec.model.preset
        own = Place(sink or folder_of(spec), spec.encoding, spec.recipe_model, spec.stores_withheld)
        self._places = Places(own, spec.storage)
        self._plugins = PluginChain(spec.image_plugins, spec.model_facts)
        if pipeline is None:
            alone = spec.alone and not spec.image_plugins
            pipeline = load_pipeline(spec.model, spec.storage, spec.torch_threads, alone=alone)
        self._renderer = Renderer(pipeline, batch_images=spec.batch_images)
        self._fetcher = Fetcher(spec.fetch, spec.storage, with_marks=True)
        self._styles = LibraryStyles(spec.style_library, spec.storage, spec.fetch.timeout_s)
        self._threads = ThreadPoolExecutor(spec.fetch.concurrency, thread_name_prefix="fetch")
        self._tally = Tally()
        self._at_work = RowsAtWork()
        node, pid = platform.node(), os.getpid()
        self._versions = library_versions()
        self._info = WorkerInfo(f"{node}:{pid}", self._renderer.device_name, node, pid)

    def info(self) -> WorkerInfo:
        """Return the place where this worker runs."""
        return self._info

    def activity(self) -> Activity:
        """Return its current work; cheap."""
        counts = self._fetcher.cache_counts
        return Activity(
            **self._tally.now(),
            cache_hits=counts.hits,
            cache_misses=counts.misses,
            fetched_bytes=counts.fetched_bytes,
            stored_bytes=self._tally.stored_bytes,
            steps=self._at_work.steps(),
        )

    def cancel(self, row_id: str) -> None:
        """End the work on a row with a handling at its next step; its outcome is `cancelled`."""
        self._at_work.cancel(row_id)
        self._renderer.look_at_cancels()

    def stylize(self, row: ManifestRow) -> Outcome:
        """Fetch, render and store one row.

        Safe to repeat: the names of the images follow from the row, and the same row gives the same
        bytes.

        Returns:
            The outcome, once all images are stored; with a failure if the row is at fault. Bugs
            raise.
        """
        outcome = self._outcome_of(row)
        logger.debug(
            "row_done row_id=%s status=%s timings_ms=%s",
            row.id, outcome.status, asdict(outcome.timings),
        )  # fmt: skip
        return outcome

    def close(self) -> None:
        """Release threads and connections; rows in progress fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._fetcher.close()

    def _outcome_of(self, row: ManifestRow) -> Outcome:
        timings: dict[str, float] = {}
        seen = Seen(row)
        try:
            with self._at_work.watching(row) as watch:
                return self._completed(row.as_given, seen, timings, watch)
        except RowCancelledError:
            return Outcome(row_id=row.id, cancelled=True)
        except RowFailedError as error:
            failure = error.failure
        except InvalidRequestError as error:
            failure = Failure("invalid_request", str(error))
        return self._outcome(seen, timings, failure=failure)

    def _completed(
        self,
        row: ManifestRow,
        seen: Seen,
        timings: dict[str, float],
        watch: StepWatch | None,
    ) -> Outcome:
        if watch is not None:
            watch.check()
        with self._tally.counted("fetching"), _timed(timings, "fetch"):
            # Resizing needs no device, and frees large originals.
            request = self._request(row, seen)
            generated = partial(GeneratedRow, sources=self._sources(request))
            prepared = self._renderer.pipeline.prepare(request)
            del request
        with self._tally.counted("drawing"):
            rendered = self._renderer.render(
                prepared, row.parameters.seeds, urgent=row.is_urgent, watch=watch
            )
        timings |= {
            "condition": rendered.condition_ms,
            "inference": rendered.inference_ms,
            "decode": rendered.decode_ms,
        }
        with self._tally.counted("storing"), _timed(timings, "store"):
            images = zip(rendered.images, row.parameters.seeds, strict=True)
            place = self._places.of(row)
            files = [self._encoded(image, row, seed, place) for image, seed in images]
            done = generated(row, rendered.images, files=ingredients_of(row, seen.files))
            examined = self._plugins.examine(done, files)
            is_beaten = examined.failure is None and _is_beaten(row, examined.values)
            is_kept = (examined.failure is None or place.stores_withheld) and not is_beaten
            if is_kept:
                examined = self._plugins.seal(done, examined)
            stored = place.sink.save(row, examined.files) if is_kept else []
        self._tally.add_stored(sum(image.num_bytes for image in stored))
        outcome = self._outcome(
            seen,
            timings,
            failure=examined.failure,
            rendered=None if examined.failure else rendered,
            stored=stored,
            values=examined.values,
        )
        return replace(outcome, is_beaten=is_beaten)

    def _sources(self, request: StylizeRequest) -> Sources | None:
        """Return small copies of the references, if a plug-in looks at them."""
        if not self._plugins.needs_sources:
            return None
        return Sources.of(request.content_image, request.style_pictures)

    def _encoded(self, image: Image.Image, row: ManifestRow, seed: int, place: Place) -> ImageFile:
        model = place.recipe_model
        recipe = None if model is None else recipe_of(row, image.size, seed, model, self._preset)
        return ImageFile(place.encoding.encode(image, recipe), place.encoding.extension)

    def _request(self, row: ManifestRow, seen: Seen) -> StylizeRequest:
        numbers = {f.name: getattr(row.parameters, f.name) for f in fields(Parameters)}
        # A long side of 0 leaves the content image out, so the image need not exist.
        content = row.content_image if row.parameters.content_long_size else None
        references = [*row.style_images] if content is None else [content, *row.style_images]
        futures = [
            self._threads.submit(
                self._fetcher.fetch,
                each,
                seen.note(place),
                seen.keep(place) if self._plugins.needs_files else None,
                seen.asked(place),
            )
            for place, each in enumerate(references, seen.places - len(references))
        ]
        try:
            images = [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
        styles = images if content is None else images[1:]
        return StylizeRequest(
            prompt=row.prompt,
            content_image=None if content is None else images[0],
            style_images=[*styles, *self._styles.encoded(row.library_styles)],
            style_weights=row.weights,
            **numbers,
        )

    def _outcome(
        self,
        seen: Seen,
        timings: dict[str, float],
        *,
        failure: Failure | None = None,
        rendered: Rendered | None = None,
        stored: Sequence[StoredImage] = (),
        values: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> Outcome:
        width, height = (None, None) if rendered is None else rendered.images[0].size
        return Outcome(
            row_id=seen.row_id,
            failure=failure,
            outputs=tuple(image.uri for image in stored),
            sha256=tuple(image.sha256 for image in stored),
            image_bytes=tuple(image.num_bytes for image in stored),
            references=seen.versions,
            rights=seen.rights,
            width=width,
            height=height,
            prompt_truncated=None if rendered is None else rendered.prompt_truncated,
            decoded_beside=self._renderer.decodes_beside,
            timings=Timings(**timings),
            worker=self._info.worker,
            device=self._info.device,
            library_versions=self._versions,
            image_values=values or {},
            caches=self._caches(),
        )

    def _caches(self) -> dict[str, Lookups]:
        counts = self._fetcher.cache_counts
        references = Lookups(counts.hits, counts.misses)
        return {"references": references, **self._renderer.pipeline.cache_lookups}


def _is_beaten(row: ManifestRow, values: Mapping[str, tuple[Any, ...]]) -> bool:
    """Return True if an earlier try of the row has a better score than these images."""
    another = row.another_try
    return another is not None and another.is_beaten(row_scores(values[SCORES]).get(another.by))


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = (time.perf_counter() - started) * 1e3
