"""Shards as folders of image files, with one `metadata.jsonl`: the imagefolder of Hugging Face.

A hidden file in each folder, which is stored last, marks a whole shard and holds its digest and the
lines of its images. The lines of all shards then go to one `metadata.jsonl`, because `datasets`
takes the types of all columns from the first 10 MB of any one such file: a column without a value
there is null for it, and a value further down ends the loading. So the first rows are chosen to
have a value in each column.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.errors import StorageError
from pipelines.in_order import in_order
from pipelines.packing.json_fields import json_lines
from pipelines.packing.layout import Layout, Sample
from pipelines.packing.samples import ImageFile
from pipelines.storage.local_files import Fill
from pipelines.storage.new_file import new_file
from pipelines.storage.storage import Storage

_MARK = ".contents"
_METADATA = "metadata.jsonl"
_FILE_NAME = "file_name"  # the column from which the loader reads the image
_TAKEN = ("file_name", "file_names")  # and so are columns with such an end
_HEAD = b"uso-batch contents "
_WRITERS = 8
_DATA = "data/train"


def write_folder(
    folder: Path,
    samples: pa.Table,
    files: Sequence[ImageFile],
    images: Iterable[bytes],
    digest: str,
) -> None:
    """Write an image for each sample, and the mark with one line of JSON for each.

    Args:
        folder: an empty local folder.
        samples: the fields.
        files: name of each sample's image.
        images: contents of each sample's image.
        digest: identifies the contents.
    """
    named = samples.rename_columns(_columns(samples.schema).names)
    lines = json_lines(named.add_column(0, _FILE_NAME, [[file.name for file in files]]))
    for file, image in zip(files, images, strict=True):
        (folder / file.name).write_bytes(image)
    with (folder / _MARK).open("wb") as mark:
        mark.write(_HEAD + digest.encode() + b"\n")
        mark.writelines(line + b"\n" for line in lines)


def read_folder_digest(storage: Storage, path: str, num_bytes: int) -> str | None:
    """Return the digest that a shard was written with; None if it is not one of our shards.

    Raises:
        StorageError: the file cannot be read.
    """
    head = storage.read_range(path, 0, min(num_bytes, len(_HEAD) + 64)).partition(b"\n")[0]
    return head.removeprefix(_HEAD).decode("ascii") if head.startswith(_HEAD) else None


def read_folder_samples(storage: Storage, path: str, num_bytes: int) -> Iterator[Sample]:
    """Yield the samples of a shard, in order; an image that is gone has no content.

    Raises:
        StorageError: a file cannot be read.
        ValueError: the mark is damaged.
    """
    del num_bytes
    folder = path.rpartition("/")[0]
    try:
        for line in storage.read(path).splitlines()[1:]:
            fields = json.loads(line)
            yield Sample.of(fields, _image(storage, f"{folder}/{fields[_FILE_NAME]}"))
    except KeyError as error:
        raise ValueError(f"a line has no {error}") from error


def _image(storage: Storage, path: str) -> bytes:
    try:
        return storage.read(path)
    except StorageError as error:
        if error.fault != "not_found":
            raise
        return b""


def store_folder(dest: Storage, path: str, fill: Fill) -> None:
    """Store the shard that `fill` writes into a new local folder.

    Args:
        dest: the dataset.
        path: path of the shard's mark. On a disk, the folder is replaced; in a store, the mark
            is removed before another file changes, and stored last.
        fill: see `StoreShard`.

    Raises:
        StorageError: the shard cannot be stored; without its mark, it is written again next time.
    """
    inside = path.rpartition("/")[0]
    if dest.is_local:
        dest.write_folder_with(inside, fill)
        return
    with tempfile.TemporaryDirectory(prefix="uso-new-") as folder:
        fill(Path(folder))
        dest.delete(path)
        remove_folder(dest, path)
        names = [each.name for each in Path(folder).iterdir() if each.name != _MARK]

        def store(name: str) -> None:
            dest.write(f"{inside}/{name}", (Path(folder) / name).read_bytes())

        for _ in in_order(store, names, _WRITERS):
            pass
        there = dest.sizes(inside)
        sizes = {f"{inside}/{name}": (Path(folder) / name).stat().st_size for name in names}
        if sizes.items() <= there.items():  # otherwise the store has lost one
            store(_MARK)


def remove_folder(dest: Storage, path: str) -> None:
    """Remove the files beside a shard's mark.

    Raises:
        StorageError: they cannot be removed.
    """
    for _ in in_order(dest.delete, dest.list(path.rpartition("/")[0]), _WRITERS):
        pass


def write_metadata(dest: Storage, marks: Sequence[str]) -> None:
    """Write `metadata.jsonl` from the lines of all shards.

    Args:
        dest: the dataset.
        marks: paths of the shards' marks, in order; without any, the file is removed.

    Raises:
        StorageError: a mark cannot be read, or the file cannot be written.
    """
    path = f"{_DATA}/{_METADATA}"
    if not marks:
        dest.delete(path)
        return
    first = _first_lines(dest, marks)
    with new_file(dest, path) as local, local.open("wb") as metadata:
        metadata.writelines(first.values())
        for place, line in _lines(dest, marks):
            if place not in first:
                metadata.write(line)


def _first_lines(dest: Storage, marks: Sequence[str]) -> dict[int, bytes]:
    """Return lines that have a value in each column and each field of it, by their place."""
    known: set[str] = set()
    first: dict[int, bytes] = {}
    for place, line in _lines(dest, marks):
        values = set(_with_values(json.loads(line)))
        if not values <= known:
            known |= values
            first[place] = line
    return first


def _with_values(value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _with_values(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _with_values(inner, f"{path}/[]")
    elif value is not None:
        yield path


def _lines(dest: Storage, marks: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    place = 0
    for mark, data in zip(marks, in_order(dest.read, marks, _WRITERS), strict=True):
        folder = mark.removeprefix(f"{_DATA}/").removesuffix(_MARK)
        for line in data.splitlines(keepends=True)[1:]:
            named = b'{"' + _FILE_NAME.encode() + b'":"'
            assert line.startswith(named)
            yield place, named + folder.encode() + line.removeprefix(named)
            place += 1


def _columns(samples: pa.Schema) -> pa.Schema:
    """Return the columns, with a trailing underscore where the loader would look for images."""
    return pa.schema(
        [
            field.with_name(f"{field.name}_") if field.name.endswith(_TAKEN) else field
            for field in samples
        ]
    )


IMAGE_FOLDER = Layout(
    suffix=f"/{_MARK}",
    write=write_folder,
    read_digest=read_folder_digest,
    read_samples=read_folder_samples,
    columns_title=f"Fields of {_METADATA}",
    columns=_columns,
    features=lambda _samples, _extensions: [],
    loader=lambda _pattern, _count: "",
    store=store_folder,
    publish=write_metadata,
)
