"""Converts records of completed rows to samples: one per image, with the fields of its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import PackError
from pipelines.image_names import path_in_output, sample_key
from pipelines.image_values import is_per_image, of_images
from pipelines.packing.loader_types import loader_type
from pipelines.record import (
    COLUMNS_DIGEST,
    EDITION_DIGEST,
    EDITION_ROW,
    IMAGE_BYTES,
    LIBRARY_VERSIONS,
    NSFW_CONTENTS,
    RECORD_NAMES,
    REFERENCE_VERSIONS,
)
from pipelines.storage.urls import redact_uri

IMAGE = "image"

_INDEX = "image_index"
_NSFW_CONTENT = "has_nsfw_content"  # of one image
_TAKEN = {IMAGE, _INDEX, _NSFW_CONTENT}
# The same for all completed rows, for a later run only, or replaced by the image.
_FOR_RUNS = {"source_digest", COLUMNS_DIGEST, EDITION_DIGEST, EDITION_ROW}
_FOR_RUNS |= {IMAGE_BYTES, REFERENCE_VERSIONS}
_FOR_REPLAYS = {"keep_size", "content_long_size", LIBRARY_VERSIONS}
_REFERENCES = {"content_image", "style_images"}
_ODD_MARKS = "[@=%]"  # every URI with credentials has one
_LEFT_OUT = {"status", "error", "outputs", *_FOR_RUNS, *_FOR_REPLAYS}

_Column: TypeAlias = "pa.Array | pa.ChunkedArray"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The image file of a sample in the output.

    Attributes:
        row_id: id of its row.
        path: path relative to the output.
        sha256: SHA-256 of the file, in hex.
        key: name of the sample: unique, plain and without dots.
        extension: extension of the file, without a dot.
    """

    row_id: str
    path: str
    sha256: str
    key: str
    extension: str

    @property
    def name(self) -> str:
        """The name of the file in a shard."""
        return f"{self.key}.{self.extension}"


def sample_schema(records: pa.Schema) -> pa.Schema:
    """Return the columns of a sample, without its image.

    These are the columns of the record except `status`, `error`, `outputs`, and some that only a
    later run or a replay needs.
    `sha256`, `seed`, `has_nsfw_content` and the values of plug-ins belong to the one image, and
    `image_index` is its number within the row. A user's column gets a trailing underscore if its
    name is one of ours, and a type that the loaders read, see `loader_type`.
    """
    fields = [records.field("id"), pa.field(_INDEX, pa.int32())]
    own: list[pa.Field] = []
    for field in records:
        if field.name not in RECORD_NAMES:
            named = field.with_name(_free_name(field.name, records.names))
            own.append(named.with_type(loader_type(_type_of_one(field))))
        elif field.name == "sha256":
            fields.append(pa.field("sha256", pa.string()))
        elif field.name == NSFW_CONTENTS:
            fields.append(pa.field(_NSFW_CONTENT, pa.bool_()))
        elif field.name != "id" and field.name not in _LEFT_OUT:
            fields.append(field)
    return pa.schema([field.with_nullable(True).remove_metadata() for field in [*fields, *own]])


def recorded_types(records: pa.Schema) -> dict[str, pa.DataType]:
    """Return the types of a sample's values before `loader_type`, by the user's columns."""
    own = [field for field in records if field.name not in RECORD_NAMES]
    return {_free_name(field.name, records.names): _type_of_one(field) for field in own}


def samples_of(records: pa.Table) -> tuple[pa.Table, list[ImageFile]]:
    """Return the samples of completed rows, in the order of the rows.

    Args:
        records: records of completed rows; each column has its `loader_type`.

    Returns:
        A table with `sample_schema`, and the image file of each of its rows.

    Raises:
        PackError: a record lists a URI that is not an image of an output.
    """
    row = _joined(pc.list_parent_indices(records["outputs"]))
    index = _places(row.to_numpy())
    whole = records.take(row)
    for place, field in enumerate(records.schema):
        if is_per_image(field):
            values = of_images(_joined(records[field.name]), row.to_numpy(), index)
            whole = whole.set_column(place, field.name, values)
    sha256 = _joined(pc.list_flatten(records["sha256"]))
    computed = {
        _INDEX: pa.array(index, pa.int32()),
        "sha256": sha256,
        _NSFW_CONTENT: _joined(pc.list_flatten(records[NSFW_CONTENTS])),
        "seed": pc.add(whole["seed"], pa.array(index, pa.int64())),
    }
    schema = sample_schema(records.schema)
    own = iter([name for name in records.schema.names if name not in RECORD_NAMES])
    columns = [
        computed[name] if name in computed else whole[name if name in RECORD_NAMES else next(own)]
        for name in schema.names
    ]
    columns = list(map(_public, schema.names, columns))
    table = pa.Table.from_arrays(columns, schema=schema)
    uris = _joined(pc.list_flatten(records["outputs"])).to_pylist()
    files = map(_image_file, whole["id"].to_pylist(), uris, sha256.to_pylist())
    return table, list(files)


def _public(name: str, column: _Column) -> _Column:
    """Return a column; references lose credentials and signatures, because datasets are shared."""
    if name not in _REFERENCES:
        return column
    uris = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    if not pc.any(pc.match_substring_regex(uris, _ODD_MARKS)).as_py():
        return column
    return pa.array(map(_public_value, column.to_pylist()), column.type)


def _public_value(value: str | list[str | None] | None) -> str | list[str | None] | None:
    if isinstance(value, list):
        return [None if uri is None else redact_uri(uri) for uri in value]
    return None if value is None else redact_uri(value)


def _type_of_one(field: pa.Field) -> pa.DataType:
    return field.type.value_type if is_per_image(field) else field.type


def _free_name(name: str, names: list[str]) -> str:
    if name not in _TAKEN:
        return name
    name += "_"
    while name in names:
        name += "_"
    return name


def _places(parents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of each image within its row, from 0; `parents` is sorted."""
    return np.arange(len(parents)) - np.searchsorted(parents, parents)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _image_file(row_id: str, uri: str, sha256: str) -> ImageFile:
    path = path_in_output(uri)
    if path is None:
        raise PackError(f"row {row_id!r}: {uri} is not the URI of an image in an output")
    extension = PurePosixPath(path).suffix.removeprefix(".")
    return ImageFile(row_id, path, sha256, sample_key(path), extension)
