"""Tar files: the bytes are those of Python's `tarfile`, which takes longer to make them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.arrow_types.shown import rows_of
from pipelines.packing.json_fields import json_line
from pipelines.packing.samples import ImageFile
from pipelines.packing.tar_shard import tar_header, write_tar

SIZES = st.one_of(st.integers(0, 2000), st.integers(0, 2**40))


def member(name: str, num_bytes: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = num_bytes
    return made


@given(st.one_of(st.from_regex(r"[a-z0-9_-]{1,110}\.(png|json)"), st.text(max_size=120)), SIZES)
@example("n" * 100, 8**11 - 1)
@example("n" * 100, 8**11)
@example("n" * 101, 0)
@example("a\0b", 1)
@example("ä.png", 1)
@example("", 0)
def test_a_header_is_that_of_tarfile(name: str, num_bytes: int) -> None:
    assert tar_header(name, num_bytes) == member(name, num_bytes).tobuf(tarfile.PAX_FORMAT)


def by_tarfile(
    path: Path, samples: pa.Table, files: Sequence[ImageFile], images: list[bytes]
) -> None:
    comment = {"comment": "uso-batch contents digest"}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers=comment) as tar:
        for fields, file, image in zip(rows_of(samples), files, images, strict=True):
            for name, data in ((file.name, image), (f"{file.key}.json", json_line(fields))):
                tar.addfile(member(name, len(data)), io.BytesIO(data))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_a_shard_has_the_bytes_of_tarfile(tmp_path: Path, count: int) -> None:
    images = [bytes([n]) * (n * 211) for n in range(count)]  # with and without padding
    files = [ImageFile(str(n), f"images/00/{n}.png", "", f"ä{n}", "png") for n in range(count)]
    samples = pa.table({"id": [str(n) for n in range(count)], "note": ["%s"] * count})
    write_tar(tmp_path / "ours", samples, files, images, "digest")
    by_tarfile(tmp_path / "theirs", samples, files, images)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
