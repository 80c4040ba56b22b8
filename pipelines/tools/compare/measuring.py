"""Measures scores of stored images, for rows whose records lack them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from pipelines.config.inputs import FetchConfig
from pipelines.errors import StorageError
from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.image_decode import decode_image
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.ledger.records import Records
from pipelines.score_values import ImageScores, row_scores
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.tools.compare.sides import Side
from pipelines.worker.scores.picture import Picture, Sources
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import ChosenScorer
from pipelines.worker.scores.scorer import Seen

logger = logging.getLogger(__name__)

_COLUMNS = ("id", "prompt", "content_image", "style_images", "outputs")
_THREADS = 4
_REFERENCES = 64  # kept in memory, at most 1024 pixels long

Progress = Callable[[int, int], None]
"""Called with the number of rows done, and of all."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The number of rows that were measured, and of pictures that could not be read."""

    rows: int
    unread: int


def measure(
    outputs: Sequence[tuple[Storage, Side]],
    ids: Collection[str],
    chosen: tuple[ChosenScorer, ...],
    fetch: FetchConfig,
    options: Options,
    progress: Progress,
) -> Measured:
    """Add the scores that rows lack to the sides; the outputs stay as they are.

    A score that both outputs have by the same measure is not measured by another one.

    Args:
        outputs: A and B.
        ids: the rows to measure.
        chosen: the scores.
        fetch: policy and size limits for reading references.
        options: fsspec options by protocol, secrets resolved.
        progress: see `Progress`.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    scorers = _for(outputs, chosen)
    for _, side in outputs:
        for each in scorers:
            side.expect(each.facts())
    lacking = [
        [i for i in ids if side.lacks(i, [each.facts().name for each in scorers])]
        for _, side in outputs
    ]
    total, done = sum(map(len, lacking)), 0
    if not total:
        return Measured(0, 0)
    reader = _Reader(Scores(scorers), fetch, options)
    with closing(reader):
        for (output, side), wanted in zip(outputs, lacking, strict=True):
            for row_id, found in reader.of_rows(output, frozenset(wanted)):
                side.add_scores(row_id, found)
                done += 1
                progress(done, total)
    return Measured(done, reader.unread)


def _for(
    outputs: Sequence[tuple[Storage, Side]], chosen: tuple[ChosenScorer, ...]
) -> tuple[ChosenScorer, ...]:
    """Return the scores that can be measured without mixing measures."""

    def agree(each: ChosenScorer) -> bool:
        ours = each.facts()
        known = {side.identity(ours.name) for _, side in outputs}
        return None in known or len(known) > 1 or known == {ours.identity}

    return tuple(filter(agree, chosen))


class _Reader:
    """Reads pictures and measures them, four rows at a time."""

    def __init__(self, scores: Scores, fetch: FetchConfig, options: Options) -> None:
        self._scores, self._fetch = scores, fetch
        self._fetcher = Fetcher(fetch, options)
        self._reference = lru_cache(_REFERENCES)(self._read_reference)
        self._unread: set[str] = set()

    @property
    def unread(self) -> int:
        """Number of pictures that could not be read."""
        return len(self._unread)

    def close(self) -> None:
        self._fetcher.close()

    def of_rows(
        self, output: Storage, ids: frozenset[str]
    ) -> Iterator[tuple[str, dict[str, float | None]]]:
        """Yield the scores of rows by id."""
        records = (
            record
            for batch in Records(output).batches(_COLUMNS)
            for record in batch.to_pylist()
            if record["id"] in ids
        )
        yield from in_order(lambda record: self._of_row(output, record), records, _THREADS)

    def _of_row(
        self, output: Storage, record: Mapping[str, Any]
    ) -> tuple[str, dict[str, float | None]]:
        content, styles = record["content_image"], record["style_images"] or ()
        pictures = [self._reference(uri) for uri in styles]
        found = tuple(each for each in pictures if each is not None)
        whole = len(found) == len(pictures)  # else it would be another mean
        images: list[ImageScores | None] = []
        for uri in record["outputs"] or ():
            image = self._image(output, uri)
            if image is None:
                return record["id"], {}  # the mean of the others would be another number
            seen = Seen(
                picture=Picture(image),
                content=None if content is None else self._reference(content),
                styles=found if whole else (),
                prompt=record["prompt"] or "",
            )
            images.append(self._scores.of(seen, record["id"]))
        return record["id"], row_scores(images)

    def _image(self, output: Storage, uri: str) -> Image.Image | None:
        path = path_in_output(uri)
        try:
            return None if path is None else self._decoded(output.read(path), uri)
        except (RowFailedError, StorageError):
            self._unread.add(f"{output.uri()} {uri}")
            return None

    def _decoded(self, data: bytes, uri: str) -> Image.Image:
        image = decode_image(
            Fetched(data),
            uri,
            max_megapixels=self._fetch.max_megapixels,
            exif_rotate=False,
            colour="original",
        )
        return image.convert("RGB")

    def _read_reference(self, uri: str) -> Picture | None:
        try:
            if not uri.startswith("sha256:"):  # inline: records keep only its hash
                return Sources.of(self._fetcher.fetch(uri), ()).content
        except RowFailedError as error:
            logger.warning("reference_unread uri=%s reason=%s", redact_uri(uri), error)
        self._unread.add(uri)
        return None
