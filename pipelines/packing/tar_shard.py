"""WebDataset shards: uncompressed tar files with two members per sample."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.packing.json_fields import json_features, json_lines
from pipelines.packing.layout import Layout, Sample
from pipelines.packing.samples import ImageFile
from pipelines.storage.storage import Storage

_COMMENT = "uso-batch contents "
_HEAD_BYTES = 4096  # the smallest tar has 10,240
_READ_BYTES = 8 * 2**20
_WRITE_BYTES = 2**20
_NAME_BYTES = 100
_MOST_BYTES = 8**11  # for which a header has place


def write_tar(
    path: Path,
    samples: pa.Table,
    files: Sequence[ImageFile],
    images: Iterable[bytes],
    digest: str,
) -> None:
    """Write `<key>.<extension>` and `<key>.json` per sample; the same input gives the same bytes.

    Args:
        path: the local file to write.
        samples: the fields for the JSON files.
        files: name of each sample's image.
        images: contents of each sample's image.
        digest: identifies the contents; the head of the file stores it as a comment.
    """
    with path.open("wb", buffering=_WRITE_BYTES) as tar:
        tar.write(_head(digest))
        for fields, file, image in zip(json_lines(samples), files, images, strict=True):
            _add(tar, file.name, image)
            _add(tar, f"{file.key}.json", fields)
        tar.write(bytes(2 * tarfile.BLOCKSIZE))
        tar.write(bytes(-tar.tell() % tarfile.RECORDSIZE))


def read_tar_digest(storage: Storage, path: str, num_bytes: int) -> str | None:
    """Return the digest that a shard was written with; None if it is not one of our shards.

    Raises:
        StorageError: the file cannot be read.
    """
    head = storage.read_range(path, 0, min(num_bytes, _HEAD_BYTES))
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as tar:
            comment = tar.pax_headers.get("comment", "")
    except tarfile.TarError:
        return None
    return comment.removeprefix(_COMMENT) if comment.startswith(_COMMENT) else None


def read_tar_samples(storage: Storage, path: str, num_bytes: int) -> Iterator[Sample]:
    """Yield the samples of a shard, in order.

    Raises:
        StorageError: the file cannot be read.
        ValueError: it is damaged.
    """
    image = b""
    try:
        # Read as a stream, for which a buffer hides the requests of a store.
        source = io.BufferedReader(storage.open(path, num_bytes), _READ_BYTES)
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                data = b"" if file is None else file.read()
                if member.name.endswith(".json"):
                    yield Sample.of(json.loads(data), image)
                image = data
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def tar_header(name: str, num_bytes: int) -> bytes:
    """Return the header of a member, as `tarfile` makes it, in a tenth of the time.

    Args:
        name: name of the member.
        num_bytes: size of its content.
    """
    if num_bytes >= _MOST_BYTES or len(name) > _NAME_BYTES or not name.isascii() or "\0" in name:
        return _slow_header(name, num_bytes)
    letters, size = name.encode(), b"%011o" % num_bytes
    total = b"%06o" % (sum(letters) + sum(size) + _SUM_OF_OTHERS)
    padded = letters.ljust(_NAME_BYTES, b"\0")
    return b"".join((padded, _AFTER_NAME, size, _AFTER_SIZE, total, _AFTER_SUM))


def _slow_header(name: str, num_bytes: int) -> bytes:
    member = tarfile.TarInfo(name)  # its default time and owner are constant
    member.size = num_bytes
    return member.tobuf(tarfile.PAX_FORMAT)


# The parts of a header around its name, its size and its sum, which are of 100, 11 and 6 bytes.
_EMPTY = _slow_header("", 0)
_AFTER_NAME, _AFTER_SIZE, _AFTER_SUM = _EMPTY[100:124], _EMPTY[135:148], _EMPTY[154:]
_SUM_OF_OTHERS = int(_EMPTY[148:154], 8) - sum(_EMPTY[124:135])


def _add(tar: BinaryIO, name: str, data: bytes) -> None:
    tar.write(tar_header(name, len(data)))
    tar.write(data)
    tar.write(bytes(-len(data) % tarfile.BLOCKSIZE))


def _head(digest: str) -> bytes:
    """Return the beginning of a tar file with our comment."""
    head = io.BytesIO()
    comment = {"comment": _COMMENT + digest}
    with tarfile.open(
        fileobj=head, mode="w", format=tarfile.PAX_FORMAT, pax_headers=comment
    ) as tar:
        return head.getvalue()[: tar.offset]


def _features(samples: pa.Schema, extensions: Sequence[str]) -> list[dict[str, Any]]:
    # datasets infers types from the first five samples only, where a column may be all null.
    images = [{"name": extension, "dtype": "image"} for extension in extensions]
    texts = [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
    return [*images, {"name": "json", "struct": json_features(samples)}, *texts]


def _loader(pattern: str, count: int) -> str:
    urls = pattern.replace("*", f"{{{0:05d}..{count - 1:05d}}}")
    return (
        "import webdataset\n\n"
        f'samples = webdataset.WebDataset("{urls}", shardshuffle=False).decode("pil")'
    )


WEBDATASET = Layout(
    suffix=".tar",
    write=write_tar,
    read_digest=read_tar_digest,
    read_samples=read_tar_samples,
    columns_title="Fields of the JSON files",
    columns=lambda samples: samples,
    features=_features,
    loader=_loader,
)
