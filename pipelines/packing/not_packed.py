"""`not-packed.jsonl`: the images that a packing found lost, for people and for other programs."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.checks.images import LostImage
from pipelines.errors import PackError
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

PATH = "not-packed.jsonl"
_NAMED = 5


class NotPacked:
    """Collects lost images: one line of JSON for each, with `id`, `image` and `fault`.

    Attributes:
        rows: number of their rows.
        images: number of images.
    """

    def __init__(self, file: Path) -> None:
        """Collect them in a new local file."""
        self._file = file
        self._first: list[LostImage] = []
        self.rows = 0
        self.images = 0

    def add(self, lost: Sequence[LostImage]) -> list[str]:
        """Add the lost images of a shard, and return the ids of their rows."""
        ids = list(dict.fromkeys(image.row_id for image in lost))
        with self._file.open("a", encoding="utf-8") as file:
            for row_id, uri, fault in lost:
                file.write(json.dumps({"id": row_id, "image": uri, "fault": fault}) + "\n")
        new = lost[: _NAMED - len(self._first)]
        for image in new:
            logger.warning("not_packed row_id=%s image=%s fault=%r", *image)
        self._first += new
        self.rows += len(ids)
        self.images += len(lost)
        return ids

    def write(self, dest: Storage) -> None:
        """Write the file at `dest`, or remove an earlier one if no image is lost.

        Raises:
            StorageError: it cannot be written.
        """
        if self.images:
            dest.write_from(PATH, self._file)
        else:
            dest.delete(PATH)

    def error(self, dest: Storage) -> PackError:
        """Return the error of a packing that must not leave out rows."""
        named = "; ".join(f"row {i.row_id!r}: its image {i.uri} {i.fault}" for i in self._first)
        more = self.images - len(self._first)
        return PackError(
            f"{named}{f'; and {more:,} more' if more else ''}. These {self.images:,} images of "
            f"{self.rows:,} rows, listed in {dest.uri(PATH)}, keep the dataset as it was. Generate "
            "them again with uso run CONFIG --check-images=full, restore the files, or pack "
            "without these rows with --skip-missing (in a run, output.skip_missing: true). If a "
            "run is writing to this output, pack again when it has ended"
        )


@contextmanager
def not_packed() -> Iterator[NotPacked]:
    """Yield an empty collection, whose local file exists as long as the block."""
    with tempfile.TemporaryDirectory(prefix="uso-not-packed-") as folder:
        yield NotPacked(Path(folder) / PATH)
