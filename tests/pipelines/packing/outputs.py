"""Makes outputs with several images per row, and reads packed datasets."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.formats import LAYOUT_SUMMARIES, LayoutName
from pipelines.image_names import image_path
from pipelines.packing.pack import PackRequest
from pipelines.packing.shard import is_shard
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import TIMES, record

LAYOUTS = tuple(LAYOUT_SUMMARIES)


def generated(
    storage: Storage, row_id: str, *, images: int = 1, seed: int = 0, ext: str = "png", **own: Any
) -> dict[str, Any]:
    """Store the images of a row, and return its record; equal arguments give equal bytes."""
    stored = []
    for index in range(images):
        kind = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "avif": "AVIF"}[ext]
        data = encode(picture(24, 16, seed=100 * seed + index), kind)
        uri = storage.write(image_path(row_id, index, images, ext), data)
        stored.append((uri, hashlib.sha256(data).hexdigest(), len(data)))
    outcome = Outcome(
        row_id=row_id,
        outputs=tuple(uri for uri, _, _ in stored),
        sha256=tuple(digest for _, digest, _ in stored),
        image_bytes=tuple(num_bytes for _, _, num_bytes in stored),
        width=24,
        height=16,
        timings=TIMES,
        worker="w1",
        device="cpu",
    )
    return record(row_id, outcome, **own)


def request(
    output: Storage, dest: Storage, layout: LayoutName = "webdataset", shard_images: int = 4
) -> PackRequest:
    return PackRequest(output, dest, layout, shard_images)


def shards(dest: Storage) -> dict[str, bytes]:
    """Return the content of each shard, by path."""
    return {path: dest.read(path) for path in dest.list("data")}


def shard_paths(dest: Storage) -> list[str]:
    """Return the paths of the shards, of folders those of their marks."""
    return [path for path in dest.list("data") if is_shard(path)]


def samples(dest: Storage) -> list[tuple[dict[str, Any], bytes]]:
    """Return the fields and the image of each sample, read without `datasets` and `webdataset`."""
    found = []
    for path, data in shards(dest).items():
        if path.endswith(".tar"):
            found += _of_tar(data)
        elif path.endswith(".parquet"):
            found += _of_parquet(data)
        elif path.endswith("/metadata.jsonl"):
            lines = [json.loads(line) for line in data.splitlines()]
            found += [(row, dest.read(f"data/train/{row.pop('file_name')}")) for row in lines]
    return sorted(found, key=lambda sample: (sample[0]["id"], sample[0]["image_index"]))


def digests(dest: Storage) -> list[tuple[str, int, str]]:
    """Return the id, index and hash of each image; asserts that it is the recorded one."""
    found = []
    for fields, image in samples(dest):
        assert hashlib.sha256(image).hexdigest() == fields["sha256"]
        found.append((fields["id"], fields["image_index"], fields["sha256"]))
    return found


def expected_digests(*records: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Return the result of `digests` that is right for these records."""
    return sorted(
        (record["id"], index, digest)
        for record in records
        for index, digest in enumerate(record["sha256"] or [])
    )


def _of_tar(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            files[member.name] = file.read()
    names = [name for name in files if name.endswith(".json")]
    images = {name.partition(".")[0]: name for name in files if name not in names}
    assert len(images) == len(names)
    return [(json.loads(files[n]), files[images[n.removesuffix(".json")]]) for n in names]


def _of_parquet(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    rows = pq.read_table(pa.BufferReader(data)).to_pylist()
    return [(row, row.pop("image")["bytes"]) for row in rows]
