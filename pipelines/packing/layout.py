"""The interface of a shard layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.packing.samples import ImageFile
from pipelines.record import MODEL_LICENCE, UNSIGNED_SHA256
from pipelines.storage.local_files import Fill
from pipelines.storage.storage import Storage

WriteShard = Callable[[Path, pa.Table, Sequence[ImageFile], Iterable[bytes], str], None]
"""Writes a shard: into a local file, from the samples, the name and the bytes of each image, and a
digest that the file stores. The same input always gives the same bytes."""

StoreShard = Callable[[Storage, str, Fill], object]
"""Stores a shard, from its storage, its path, and a function that makes it at a local path: a file,
or the files of an empty folder. The function may be called again; its errors leave nothing."""


def _store_file(dest: Storage, path: str, fill: Fill) -> None:
    dest.write_with(path, fill)


BOUND = ("fingerprint", "seed", "preset", "model", MODEL_LICENCE, UNSIGNED_SHA256)
"""Columns of a sample that the signature of its image covers."""

ReadDigest = Callable[[Storage, str, int], str | None]
"""Returns the digest in a stored shard, from its storage, path and size in bytes; None if another
program wrote the file. Raises StorageError if the file cannot be read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image in a stored shard.

    Attributes:
        row_id: id of its row.
        index: number of the image within its row, from 0.
        sha256: hash that the sample states, in hex.
        data: content of the image.
        values: the values of `BOUND` that the sample has; older ones have fewer.
    """

    row_id: str
    index: int
    sha256: str
    data: bytes
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Mapping[str, Any], data: bytes) -> Sample:
        """Return the sample with these fields."""
        values = {name: fields[name] for name in BOUND if name in fields}
        row_id, index = str(fields["id"]), int(fields["image_index"])
        return cls(row_id, index, str(fields["sha256"]), data, values)


ReadSamples = Callable[[Storage, str, int], Iterator[Sample]]
"""Yields the samples of a stored shard, from its storage, path and size in bytes. Raises
StorageError if a file cannot be read, and ValueError if the shard is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One layout of shards: how to write, recognize and document them.

    Attributes:
        suffix: end of the path of a shard: its extension, or the file in its folder that marks it.
        write: writes a shard.
        read_digest: recognizes a shard.
        read_samples: reads a shard, one image at a time.
        columns_title: heading of the table of columns in the dataset card.
        columns: returns the columns of a shard for the columns of the samples.
        features: returns the column types that the dataset card must state because `datasets` does
            not find them in the shards, for the columns of the samples and the extensions of the
            images; an empty list if it finds them all.
        store: stores a shard, see `StoreShard`.
        publish: writes what follows from all shards, from their storage and paths; None: nothing.
        loader: returns example code that loads the shards without `datasets`, for their glob and
            their number; an empty string if there is no example.
    """

    suffix: str
    write: WriteShard
    read_digest: ReadDigest
    read_samples: ReadSamples
    columns_title: str
    columns: Callable[[pa.Schema], pa.Schema]
    features: Callable[[pa.Schema, Sequence[str]], list[dict[str, Any]]]
    loader: Callable[[str, int], str]
    store: StoreShard = _store_file
    publish: Callable[[Storage, Sequence[str]], None] | None = None

    @property
    def is_folder(self) -> bool:
        """True if a shard is a folder of files."""
        return self.suffix.startswith("/")
