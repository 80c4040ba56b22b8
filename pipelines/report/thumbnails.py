"""Small copies of pictures: made in threads, a few at a time; those that are there are kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import NamedTuple

from PIL import Image

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.image_decode import decode_image
from pipelines.report.bounded_pool import BoundedPool
from pipelines.report.links import path_in_output
from pipelines.report.pictures import THUMBNAILS, Picture, Places, thumbnail_path
from pipelines.report.row_table import RowTable
from pipelines.report.values import visible
from pipelines.storage.storage import Options, StorageError

LONG_SIDE = 384  # pixels: a card on a screen with two pixels per CSS pixel
_QUALITY = 78
_THREADS = 4


class Made(NamedTuple):
    """What became of one thumbnail; `why` is None where it is there."""

    key: str
    why: str | None


class Thumbnailer:
    """Makes thumbnails of a run's pictures and of its references, as far as policy allows.

    Memory: for each of four threads one file and its image, within the caps of `fetch`.
    """

    def __init__(self, places: Places, fetch: FetchConfig, options: Options | None = None) -> None:
        """Read references as `fetch` says.

        Args:
            places: where pictures are and thumbnails go.
            fetch: policy and caps; each reference is read once, so its cache is not used.
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
        self, pictures: Iterable[Picture], table: RowTable, progress: Callable[[int], None]
    ) -> int:
        """Make those that nobody has made; notes in `table` what became of each.

        Returns:
            How many pictures could not be read.

        Raises:
            StorageError: a thumbnail cannot be written.
        """
        missing = done = 0

        def note(made: Made) -> None:
            nonlocal missing, done
            table.note_picture(made.key, made.why)
            missing += made.why is not None
            done += 1
            progress(done)

        with BoundedPool[Made](_THREADS, note) as pool:
            for picture in pictures:
                if not table.claim_picture(picture.key):
                    continue
                if thumbnail_path(picture.key) in self._there:
                    note(Made(picture.key, None))
                else:
                    pool.submit(lambda picture=picture: self._make(picture))  # type: ignore[misc]
        return missing

    def _make(self, picture: Picture) -> Made:
        try:
            image = self._read(picture)
        except RowFailedError as error:
            return Made(picture.key, visible(str(error), 400))
        except StorageError as error:
            return Made(picture.key, visible(str(error), 400))
        self._places.out.write(thumbnail_path(picture.key), thumbnail(image))
        return Made(picture.key, None)

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
        )

    def _reference(self, uri: str) -> Image.Image:
        if uri.startswith("sha256:"):
            raise StorageError(uri, "it was given inline, and records keep only its hash")
        return self._fetcher.fetch(uri)


def thumbnail(image: Image.Image) -> bytes:
    """A small WebP of an image in any mode, transparency kept, metadata left out."""
    transparent = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith(("I", "F")):
        image = image.point(lambda level: level / 256).convert("L") if _is_deep(image) else image
    small = image.convert("RGBA" if transparent else "RGB")
    small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    small.info.clear()
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")
