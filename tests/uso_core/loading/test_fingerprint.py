from __future__ import annotations

import json
from pathlib import Path

import pytest

from uso_core.loading.fingerprint import WHOLE_BYTES, file_digest

SIZE = WHOLE_BYTES + 2**20


def large_file(path: Path, *, at: int | None = None, key: str = "w") -> Path:
    """Write a sparse safetensors file above the size limit, all zeros except the byte `at`."""
    header = json.dumps({key: {"dtype": "U8", "shape": [SIZE], "data_offsets": [0, SIZE]}})
    padded = header.encode().ljust(96)
    with path.open("wb") as file:
        file.write(len(padded).to_bytes(8, "little") + padded)
        file.truncate(8 + len(padded) + SIZE)
        if at is not None:
            file.seek(at)
            file.write(b"\x01")
    return path


def test_large_files_are_sampled_alike_everywhere(tmp_path: Path) -> None:
    first = file_digest(large_file(tmp_path / "a.safetensors"))
    (tmp_path / "below").mkdir()
    assert file_digest(large_file(tmp_path / "below" / "b.safetensors")) == first


@pytest.mark.parametrize("at", [200, 8 + 96 + SIZE - 1])
def test_the_start_and_the_end_are_in_the_sample(tmp_path: Path, at: int) -> None:
    zeros = file_digest(large_file(tmp_path / "a.safetensors"))
    assert file_digest(large_file(tmp_path / "b.safetensors", at=at)) != zeros


def test_the_header_is_in_the_sample(tmp_path: Path) -> None:
    assert file_digest(large_file(tmp_path / "a.safetensors")) != file_digest(
        large_file(tmp_path / "b.safetensors", key="v")
    )


def test_small_files_are_hashed_whole(tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    path.write_bytes(b"abc")
    assert file_digest(path).startswith("ba7816bf8f01cfea")
