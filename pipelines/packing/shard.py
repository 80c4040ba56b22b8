"""Writes one shard: reads its images from the output, checks them, and stores them as one file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipelines.errors import PackError, StorageError
from pipelines.formats import LayoutName
from pipelines.in_order import in_order
from pipelines.packing.layout import Layout
from pipelines.packing.parquet_shard import PARQUET
from pipelines.packing.plan import digest_of
from pipelines.packing.samples import ImageFile, samples_of
from pipelines.packing.tar_shard import WEBDATASET
from pipelines.storage.new_file import new_file
from pipelines.storage.storage import Storage

LAYOUTS: Mapping[LayoutName, Layout] = {"webdataset": WEBDATASET, "parquet": PARQUET}
"""All layouts; each has an extension of its own."""

FOLDER = "data"
_BY_EXTENSION = {layout.extension: layout for layout in LAYOUTS.values()}
_NAME = re.compile(rf"{FOLDER}/train-(\d{{5,}})-of-(\d{{5,}})\.({'|'.join(_BY_EXTENSION)})")
_READERS = 8


@dataclass(frozen=True, slots=True)
class ShardTask:
    """All that is needed to write one shard; picklable. A pickle of it holds secrets.

    Attributes:
        layout: of the shard.
        path: of the shard, in `dest`.
        output: where the images are.
        dest: where the shard goes.
        records: of its rows, all completed.
    """

    layout: LayoutName
    path: str
    output: Storage
    dest: Storage
    records: pa.Table


def shard_path(layout: LayoutName, number: int, count: int) -> str:
    """The path of a shard in the dataset's folder."""
    return f"{FOLDER}/train-{number:05d}-of-{count:05d}.{LAYOUTS[layout].extension}"


def shard_pattern(layout: LayoutName, count: int) -> str:
    """A glob for all shards of a dataset that has so many."""
    return f"{FOLDER}/train-*-of-{count:05d}.{LAYOUTS[layout].extension}"


def is_shard(path: str) -> bool:
    """Whether a path is one that `shard_path` gives."""
    return _NAME.fullmatch(path) is not None


def read_digest(dest: Storage, path: str, num_bytes: int) -> str | None:
    """Return the digest that a stored shard was written with; None if it is not one of our shards.

    Raises:
        StorageError: it cannot be read.
    """
    layout = _BY_EXTENSION[path.rpartition(".")[2]]
    return layout.read_digest(dest, path, num_bytes)


def write_shard(task: ShardTask) -> str:
    """Store one shard whole, and return its path; doing it again gives the same bytes.

    Needs room for the shard on the local disk, and memory for a row group.

    Raises:
        PackError: an image is not there, or not as recorded.
        StorageError: an image cannot be read, or the shard cannot be stored.
    """
    records = task.records.sort_by("id")
    samples, files = samples_of(records)
    images = in_order(_reader(task.output), files, _READERS)
    with new_file(task.dest, task.path) as local:
        LAYOUTS[task.layout].write(local, samples, files, images, digest_of(records))
    return task.path


def write_in_threads(tasks: Iterator[ShardTask]) -> Iterator[str]:
    """`write_shard` for each task, a few at a time in this process."""
    return in_order(write_shard, tasks, threads=2)


def _reader(output: Storage) -> Callable[[ImageFile], bytes]:
    def read(file: ImageFile) -> bytes:
        try:
            data = output.read(file.path)
        except StorageError as error:
            if error.fault == "not_found":
                raise _not_as_recorded(output, file, "is not there") from error
            raise
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise _not_as_recorded(output, file, "is not the file that was recorded")
        return data

    return read


def _not_as_recorded(output: Storage, file: ImageFile, what: str) -> PackError:
    return PackError(
        f"row {file.row_id!r}: its image {output.uri(file.path)} {what}; if a run is at work on "
        "this output, pack again when it has ended, else restore the file"
    )
