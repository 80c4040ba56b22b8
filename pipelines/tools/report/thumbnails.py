"""Reads pictures in full, to make their thumbnails and to compare those of two runs.

Threads read a few at a time, and each file once for both purposes. Existing thumbnails are kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipelines.config.inputs import FetchConfig
from pipelines.errors import StorageError
from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.image_decode import decode_image
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.psnr import Distance, Pixels, distance
from pipelines.storage.filesystems import Options
from pipelines.tools.report.distances import PicturePair
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.pictures import THUMBNAILS, Picture, Places, thumbnail_path
from pipelines.tools.report.values import visible

LONG_SIDE = 384  # pixels: a card on a screen with two pixels per CSS pixel
_QUALITY = 78
_THREADS = 4


class Made(NamedTuple):
    """A thumbnail, with the reason in `why` if it could not be made."""

    key: str
    why: str | None


class Unread(NamedTuple):
    """The reason why a picture could not be read."""

    why: str


class Seen(NamedTuple):
    """The result for one picture or pair: its thumbnails, and the distance of a pair."""

    made: list[Made]
    compared: tuple[PicturePair, Distance] | None = None


class Thumbnailer:
    """Makes thumbnails of a run's pictures, and of the references that the policy allows to fetch.

    Memory: one file and its image for each of four threads, or two for a pair, within the size
    limits of `fetch`.
    """

    def __init__(self, places: Places, fetch: FetchConfig, options: Options | None = None) -> None:
        """Open the connections.

        Args:
            places: the folders of the pictures and of the thumbnails.
            fetch: policy and size limits for references; each is read once, so without a cache.
            options: fsspec options by protocol, secrets resolved.
        """
        self._places = places
        self._fetch = fetch
        self._fetcher = Fetcher(fetch.model_copy(update={"cache_mb": 0}), options)
        self._there = set(places.out.list(THUMBNAILS))

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def make_all(
        self,
        wanted: Iterable[Picture | PicturePair],
        table: PictureTable,
        progress: Callable[[int], None],
    ) -> int:
        """Make missing thumbnails and measure distances; notes the results in `table`.

        Args:
            wanted: pictures, and pairs to compare; a pair comes before its pictures.
            table: knows the claimed pictures, and stores the results.
            progress: called with the number of pictures done, with or without a thumbnail.

        Returns:
            The number of pictures that could not be read.

        Raises:
            StorageError: a thumbnail cannot be written.
        """
        missing = done = 0
        for seen in in_order(lambda work: work(), self._unclaimed(wanted, table), _THREADS):
            for made in seen.made:
                table.note_picture(made.key, made.why)
                missing += made.why is not None
                done += 1
            if seen.compared is not None:
                pair, value = seen.compared
                table.note_distance(pair.here.key, pair.there.key, value)
            progress(done)
        return missing

    def _unclaimed(
        self, wanted: Iterable[Picture | PicturePair], table: PictureTable
    ) -> Iterator[Callable[[], Seen]]:
        for one in wanted:
            if isinstance(one, PicturePair):
                if table.claim_distance(one.here.key, one.there.key):
                    claimed = [picture for picture in one if table.claim_picture(picture.key)]
                    yield partial(self._compare, one, claimed)
            elif table.claim_picture(one.key):
                yield partial(self._make, one)

    def _make(self, picture: Picture) -> Seen:
        if thumbnail_path(picture.key) in self._there:
            return Seen([Made(picture.key, None)])
        return Seen([self._small(picture, self._image(picture))])

    def _compare(self, pair: PicturePair, claimed: list[Picture]) -> Seen:
        here, there = self._image(pair.here), self._image(pair.there)
        images = {pair.here.key: here, pair.there.key: there}
        made = [self._small(picture, images[picture.key]) for picture in claimed]
        return Seen(made, (pair, _distance(here, there)))

    def _small(self, picture: Picture, image: Image.Image | Unread) -> Made:
        path = thumbnail_path(picture.key)
        if path not in self._there:
            if isinstance(image, Unread):
                return Made(picture.key, image.why)
            self._places.out.write(path, thumbnail(image))
        return Made(picture.key, None)

    def _image(self, picture: Picture) -> Image.Image | Unread:
        try:
            return self._read(picture)
        except (RowFailedError, StorageError) as error:
            return Unread(visible(str(error), 400))

    def _read(self, picture: Picture) -> Image.Image:
        if picture.owner == "reference":
            return self._reference(picture.uri)
        storage = self._places.run if picture.owner == "run" else self._places.other
        path = path_in_output(picture.uri)
        if storage is None or path is None:
            raise StorageError(picture.uri, "not an image of this output")
        return decode_image(
            Fetched(storage.read(path)),
            picture.uri,
            max_megapixels=self._fetch.max_megapixels,
            exif_rotate=False,
            colour="original",
        )

    def _reference(self, uri: str) -> Image.Image:
        if uri.startswith("sha256:"):
            raise StorageError("given inline", "records keep only its hash")
        return self._fetcher.fetch(uri)


def thumbnail(image: Image.Image) -> bytes:
    """Return a small WebP of an image in any mode; keeps transparency and drops metadata."""
    transparent = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith(("I", "F")):
        image = image.point(lambda level: level / 256).convert("L") if _is_deep(image) else image
    small = image.convert("RGBA" if transparent else "RGB")
    small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    small.info.clear()
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()


def _distance(here: Image.Image | Unread, there: Image.Image | Unread) -> Distance:
    if isinstance(here, Unread) or isinstance(there, Unread):
        return "not read"
    return distance(_pixels(here), _pixels(there))


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")
