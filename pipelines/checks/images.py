"""Finds the completed rows of an output whose images are missing, or are not the recorded files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import pyarrow as pa

from pipelines.checks.stored_images import StoredImages
from pipelines.errors import StorageError
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.ledger.records import Records, completed
from pipelines.record import IMAGE_BYTES
from pipelines.storage.storage import Storage

Fault = Literal["is missing", "is empty", "has another size", "is not the recorded file"]
Show = Callable[[str, int], None]
"""Called with the current step and the number of images done."""

_COLUMNS = ("id", "status", "outputs", "sha256", IMAGE_BYTES)
_READERS = 16


class LostImage(NamedTuple):
    """An image that is not there as recorded.

    Attributes:
        row_id: the id of its row.
        uri: its recorded URI.
        fault: the difference.
    """

    row_id: str
    uri: str
    fault: Fault


class _Recorded(NamedTuple):
    """An image as its record describes it; `num_bytes` is None in records of older versions."""

    row_id: str
    uri: str
    sha256: str
    num_bytes: int | None


def lost_by_size(records: Records, output: Storage, show: Show) -> Iterator[LostImage]:
    """Yield the images that are missing, empty or of another size than recorded.

    Lists each folder of images once, and reads no image. Takes 16 bytes of memory per stored image,
    and the listing of up to 16 of the 256 folders. A file of the same size is not looked into. An
    older version recorded no sizes; of its images, this finds the missing and the empty ones.

    Raises:
        LedgerError, StorageError: the records or a folder cannot be read.
    """
    stored = StoredImages()
    stored.list_images(output, partial(show, "listing the images"))
    done = 0
    for images in _images(records):
        paths = [path_in_output(image.uri) for image in images]
        sizes = iter(stored.sizes_of([path for path in paths if path is not None]).tolist())
        for image, path in zip(images, paths, strict=True):
            fault = _fault_of_size(image, -1 if path is None else next(sizes))
            if fault is not None:
                yield LostImage(image.row_id, image.uri, fault)
        done += len(images)
        show("comparing the images with the records", done)


def lost_by_content(
    records: Records,
    output: Storage,
    show: Show,
    is_wanted: Callable[[str, str], bool] = lambda _path, _sha256: True,
) -> Iterator[LostImage]:
    """Yield the images that are missing, or whose SHA-256 is not the recorded one.

    Reads every image, `_READERS` at a time.

    Args:
        records: the records.
        output: the output.
        show: see `Show`.
        is_wanted: returns False for an image to leave out, by its path in the output (empty if it
            is not in there) and its recorded hash.

    Raises:
        LedgerError, StorageError: the records or an image cannot be read.
    """
    images = (
        image
        for batch in _images(records)
        for image in batch
        if is_wanted(path_in_output(image.uri) or "", image.sha256)
    )
    faults = in_order(partial(_with_fault, output), images, _READERS)
    for done, (image, fault) in enumerate(faults, 1):
        if fault is not None:
            yield LostImage(image.row_id, image.uri, fault)
        show("reading the images", done)


def _images(records: Records) -> Iterator[Sequence[_Recorded]]:
    for batch in records.batches(_COLUMNS):
        yield list(_images_of(completed(batch)))


def _images_of(batch: pa.RecordBatch) -> Iterator[_Recorded]:
    columns = (batch[name].to_pylist() for name in ("id", "outputs", "sha256", IMAGE_BYTES))
    for row_id, uris, hashes, sizes in zip(*columns, strict=True):
        known = sizes or [None] * len(uris)
        for uri, sha256, num_bytes in zip(uris, hashes, known, strict=True):
            yield _Recorded(row_id, uri, sha256, num_bytes)


def _fault_of_size(image: _Recorded, num_bytes: int) -> Fault | None:
    if num_bytes < 0:
        return "is missing"
    if num_bytes == 0:
        return "is empty"
    if image.num_bytes is not None and num_bytes != image.num_bytes:
        return "has another size"
    return None


def _with_fault(output: Storage, image: _Recorded) -> tuple[_Recorded, Fault | None]:
    path = path_in_output(image.uri)
    if path is None:
        return image, "is missing"
    try:
        data = output.read(path)
    except StorageError as error:
        if error.fault != "not_found":
            raise
        return image, "is missing"
    if hashlib.sha256(data).hexdigest() == image.sha256:
        return image, None
    return image, "is not the recorded file" if data else "is empty"
