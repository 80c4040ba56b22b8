"""Writes a shard: reads its images from the output, checks them, and stores them together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.checks.images import LostImage
from pipelines.formats import LayoutName
from pipelines.in_order import in_order
from pipelines.packing.folder_shard import IMAGE_FOLDER, remove_folder
from pipelines.packing.images import Found, read_images
from pipelines.packing.layout import Layout, Sample
from pipelines.packing.parquet_shard import PARQUET
from pipelines.packing.plan import digest_of
from pipelines.packing.samples import samples_of
from pipelines.packing.tar_shard import WEBDATASET
from pipelines.storage.storage import Storage

LAYOUTS: Mapping[LayoutName, Layout] = {
    "webdataset": WEBDATASET,
    "parquet": PARQUET,
    "folder": IMAGE_FOLDER,
}
"""All layouts; each has its own suffix."""

FOLDER = "data"
_BY_SUFFIX = {layout.suffix: layout for layout in LAYOUTS.values()}
_NAME = re.compile(
    rf"{FOLDER}/train[-/]\d{{5,}}-of-\d{{5,}}({'|'.join(map(re.escape, _BY_SUFFIX))})"
)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """The input of `write_shard`; picklable. A pickle contains the secrets of both storages.

    Attributes:
        layout: layout of the shard.
        path: path of the shard in `dest`.
        output: output of the run, with the images.
        dest: folder of the dataset.
        records: records of the shard's rows, all completed; each column has its `loader_type`.
    """

    layout: LayoutName
    path: str
    output: Storage
    dest: Storage
    records: pa.Table


def shard_path(layout: LayoutName, number: int, count: int) -> str:
    """Return the path of a shard in the dataset's folder."""
    chosen = LAYOUTS[layout]
    # `datasets` takes the files of a folder `train`, and of no other if there is one, for a split.
    name = f"train{'/' if chosen.is_folder else '-'}{number:05d}-of-{count:05d}"
    return f"{FOLDER}/{name}{chosen.suffix}"


def shard_pattern(layout: LayoutName, count: int) -> str:
    """Return a glob that matches the `count` shards of a dataset."""
    chosen = LAYOUTS[layout]
    if chosen.is_folder:
        return f"{FOLDER}/**"
    return f"{FOLDER}/train-*-of-{count:05d}{chosen.suffix}"


def is_shard(path: str) -> bool:
    """Return True if `shard_path` can return this path."""
    return _NAME.fullmatch(path) is not None


def read_digest(dest: Storage, path: str, num_bytes: int) -> str | None:
    """Return the digest that a stored shard was written with; None if it is not one of our shards.

    Raises:
        StorageError: the file cannot be read.
    """
    found = _NAME.fullmatch(path)
    assert found is not None
    return _BY_SUFFIX[found[1]].read_digest(dest, path, num_bytes)


def read_samples(dest: Storage, path: str, num_bytes: int) -> Iterator[Sample]:
    """Yield the samples of a stored shard; see `ReadSamples`."""
    found = _NAME.fullmatch(path)
    assert found is not None
    return _BY_SUFFIX[found[1]].read_samples(dest, path, num_bytes)


def remove_shard(dest: Storage, path: str) -> None:
    """Remove a stored shard.

    Raises:
        StorageError: it cannot be removed.
    """
    dest.delete(path)
    if path.endswith(IMAGE_FOLDER.suffix):
        remove_folder(dest, path)


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of `write_shard`.

    Attributes:
        path: path of the shard in `dest`.
        lost: images that are missing or differ from their records. If there are any, the shard was
            not stored.
    """

    path: str
    lost: tuple[LostImage, ...] = ()


class _ImagesLostError(Exception):
    pass


def write_shard(task: ShardTask) -> ShardResult:
    """Store one shard atomically, if all its images are there as recorded.

    The same task always gives the same bytes. Needs disk space for the shard, and memory for a row
    group.

    Raises:
        PackError: a record names an image that is in no output.
        StorageError: an image cannot be read, or the shard cannot be stored.
    """
    records = task.records.sort_by("id")
    samples, files = samples_of(records)
    digest = digest_of(records)
    layout = LAYOUTS[task.layout]
    lost: list[LostImage] = []

    def write(local: Path) -> None:
        lost.clear()
        with closing(read_images(task.output, files)) as found:
            layout.write(local, samples, files, _images(found, lost), digest)
        if lost:
            raise _ImagesLostError

    with suppress(_ImagesLostError):
        layout.store(task.dest, task.path, write)
    return ShardResult(task.path, tuple(lost))


def write_in_threads(tasks: Iterator[ShardTask]) -> Iterator[ShardResult]:
    """Run `write_shard` for each task, two at a time, in threads of this process."""
    return in_order(write_shard, tasks, threads=2)


def _images(found: Iterator[Found], lost: list[LostImage]) -> Iterator[bytes]:
    """Yield the images, and nothing in place of a lost image, which goes into `lost`."""
    for image in found:
        if isinstance(image, bytes):
            yield image
        else:
            lost.append(image)
            yield b""
