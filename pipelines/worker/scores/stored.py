"""Measures the images of records, from the files in the output and their references."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
from pipelines.score_values import ImageScores
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.worker.scores.picture import Picture, Sources
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.scorer import Seen

logger = logging.getLogger(__name__)

RECORD_COLUMNS = ("id", "prompt", "content_image", "style_images", "outputs")
"""The columns of a record that are needed."""

_REFERENCES = 64  # kept in memory, at most 1024 pixels long


class StoredImages:
    """Reads images and references, and measures them; safe to share between threads."""

    def __init__(self, scores: Scores, fetch: FetchConfig, options: Options) -> None:
        """Measure with loaded scores.

        Args:
            scores: the scores.
            fetch: policy and size limits for reading references.
            options: fsspec options by protocol, secrets resolved.
        """
        self._scores, self._fetch = scores, fetch
        self._fetcher = Fetcher(fetch, options)
        self._reference = lru_cache(_REFERENCES)(self._read_reference)
        self._unread: set[str] = set()

    @property
    def unread(self) -> int:
        """Number of pictures that could not be read."""
        return len(self._unread)

    def close(self) -> None:
        """Release connections."""
        self._fetcher.close()

    def scores_of(self, output: Storage, record: Mapping[str, Any]) -> list[ImageScores] | None:
        """Return the scores of each image of a completed row; None if one cannot be read.

        Scores that need a reference which cannot be read are null.

        Args:
            output: the output of the record.
            record: at least `RECORD_COLUMNS`.
        """
        content, styles = record["content_image"], record["style_images"] or ()
        pictures = [self._reference(uri) for uri in styles]
        found = tuple(each for each in pictures if each is not None)
        whole = len(found) == len(pictures)  # else it would be another mean
        images: list[ImageScores] = []
        for uri in record["outputs"] or ():
            image = self._image(output, uri)
            if image is None:
                return None  # the mean of the others would be another number
            seen = Seen(
                picture=Picture(image),
                content=None if content is None else self._reference(content),
                styles=found if whole else (),
                prompt=record["prompt"] or "",
            )
            images.append(self._scores.of(seen, record["id"]))
        return images

    def _image(self, output: Storage, uri: str) -> Image.Image | None:
        path = path_in_output(uri)
        try:
            return None if path is None else self._decoded(output.read(path), uri)
        except (RowFailedError, StorageError) as error:
            logger.warning("image_unread uri=%s reason=%s", uri, error)
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
