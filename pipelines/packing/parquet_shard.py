"""Parquet shards that hold the images in a column that `datasets` decodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.packing.layout import BOUND, Layout, Sample
from pipelines.packing.samples import IMAGE, ImageFile
from pipelines.storage.storage import Storage

_DIGEST = b"uso-batch.contents"
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FEATURES = {"info": {"features": {IMAGE: {"_type": "Image"}}}}
_GROUP_IMAGES = 100
_READ_ROWS = 16
_GROUP_BYTES = 64 * 2**20  # of images: bounds the memory that a reader needs


def write_parquet(
    path: Path,
    samples: pa.Table,
    files: Sequence[ImageFile],
    images: Iterable[bytes],
    digest: str,
) -> None:
    """Write one row per sample, in row groups of up to 100; the same input gives the same bytes.

    Args:
        path: the local file to write.
        samples: the columns other than `image`.
        files: name of each sample's image.
        images: contents of each sample's image.
        digest: identifies the contents; the metadata of the file stores it.
    """
    schema = parquet_schema(samples.schema).with_metadata(
        {b"huggingface": json.dumps(_FEATURES).encode(), _DIGEST: digest.encode()}
    )
    start = 0
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
    ) as writer:
        for group in _groups(images):
            names = [file.name for file in files[start : start + len(group)]]
            image = pa.StructArray.from_arrays(
                [pa.array(group, pa.binary()), pa.array(names, pa.string())],
                fields=list(_IMAGE_TYPE),
            )
            rows = samples.slice(start, len(group)).add_column(0, schema.field(IMAGE), image)
            writer.write_table(rows.replace_schema_metadata(schema.metadata), len(group))
            start += len(group)


def parquet_schema(samples: pa.Schema) -> pa.Schema:
    """Return the columns of a shard: `image`, then the columns of the samples."""
    return pa.schema([pa.field(IMAGE, _IMAGE_TYPE), *samples])


def read_parquet_digest(storage: Storage, path: str, num_bytes: int) -> str | None:
    """Return the digest that a shard was written with; None if it is not one of our shards.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        metadata = pq.read_metadata(storage.open(path, num_bytes)).metadata or {}
    except pa.ArrowInvalid:
        return None
    return metadata[_DIGEST].decode() if _DIGEST in metadata else None


def read_parquet_samples(storage: Storage, path: str, num_bytes: int) -> Iterator[Sample]:
    """Yield the samples of a shard, in order.

    Raises:
        StorageError: the file cannot be read.
        ValueError: it is damaged.
    """
    try:
        source = storage.open(path, num_bytes)
        file = pq.ParquetFile(source, page_checksum_verification=True)
        known = [name for name in BOUND if name in file.schema_arrow.names]
        columns = [IMAGE, "id", "image_index", "sha256", *known]
        for batch in file.iter_batches(_READ_ROWS, columns=columns):
            for fields in batch.to_pylist():
                yield Sample.of(fields, fields[IMAGE]["bytes"] or b"")
    except (pa.ArrowException, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error


def _groups(images: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    num_bytes = 0
    for image in images:
        group.append(image)
        num_bytes += len(image)
        if len(group) == _GROUP_IMAGES or num_bytes >= _GROUP_BYTES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


PARQUET = Layout(
    suffix=".parquet",
    write=write_parquet,
    read_digest=read_parquet_digest,
    read_samples=read_parquet_samples,
    columns_title="Columns",
    columns=parquet_schema,
    features=lambda _samples, _extensions: [],  # the schema of each shard states them
    loader=lambda _pattern, _count: "",
)
