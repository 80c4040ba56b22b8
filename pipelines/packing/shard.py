"""Writes one shard: reads its images from the output, checks them, and stores them as one file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipelines.errors import PackError, StorageError
from pipelines.packing.in_order import in_order
from pipelines.packing.parquet_shard import parquet_contents, write_parquet
from pipelines.packing.plan import contents_of
from pipelines.packing.samples import ImageFile, samples_of
from pipelines.packing.tar_shard import tar_contents, write_tar
from pipelines.storage.new_file import new_file
from pipelines.storage.storage import Storage

Layout = Literal["webdataset", "parquet"]

FOLDER = "data"
_EXTENSIONS: dict[Layout, str] = {"webdataset": "tar", "parquet": "parquet"}
_NAME = re.compile(rf"{FOLDER}/train-(\d{{5,}})-of-(\d{{5,}})\.(tar|parquet)")
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

    layout: Layout
    path: str
    output: Storage
    dest: Storage
    records: pa.Table


def shard_path(layout: Layout, number: int, count: int) -> str:
    """The path of a shard in the dataset's folder."""
    return f"{FOLDER}/train-{number:05d}-of-{count:05d}.{_EXTENSIONS[layout]}"


def shard_pattern(layout: Layout, count: int) -> str:
    """A glob for all shards of a dataset that has so many."""
    return f"{FOLDER}/train-*-of-{count:05d}.{_EXTENSIONS[layout]}"


def is_shard(path: str) -> bool:
    """Whether a path is one that `shard_path` gives."""
    return _NAME.fullmatch(path) is not None


def shard_contents(dest: Storage, path: str, num_bytes: int) -> str | None:
    """What a stored shard says that it holds; None: the file is not one of ours.

    Raises:
        StorageError: it cannot be read.
    """
    read = parquet_contents if path.endswith(".parquet") else tar_contents
    return read(dest, path, num_bytes)


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
    write = write_parquet if task.layout == "parquet" else write_tar
    with new_file(task.dest, task.path) as local:
        write(local, samples, files, images, contents_of(records))
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
