"""A hash of the files that decide what a model draws, cheap enough to take before every run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from uso_core.errors import CheckpointError
from uso_core.loading.layouts import ComponentFiles, ComponentName

WHOLE_BYTES = 64 * 2**20
"""Files up to this size are hashed as a whole, larger ones by samples."""
SAMPLES = 256
SAMPLE_BYTES = 64 * 2**10


def fingerprint(parts: Mapping[ComponentName, ComponentFiles]) -> str:
    """The hash of a model's files, as 64 hexadecimal digits.

    It depends on what is in the files and on which part they belong to, not on where they lie or
    when they were written. A part from the Hub counts by its repository's commit.

    Raises:
        CheckpointError: a file cannot be read, or is cut short.
    """
    lines = [
        f"{name}\t{Path(file).name}\t{_digest(part, file)}"
        for name, part in sorted(parts.items())
        for file in part.names
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or, beyond `WHOLE_BYTES`, of a sample of it.

    The sample is the size, the header of a safetensors file (each key, dtype, shape and offset),
    and 256 pieces of 64 KiB, evenly spaced from the start to the end. Another model, or one trained
    further, differs in every piece; a change to one tensor alone may go unnoticed.

    Raises:
        CheckpointError: the file cannot be read, or is a safetensors file cut short.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy"):
                pass  # opening checks the header, and that the file has all the bytes it names
        return _sampled(path) if path.stat().st_size > WHOLE_BYTES else _whole(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            str(path), f"cannot be read ({error}); if its download broke off, fetch it again"
        ) from error


def _digest(part: ComponentFiles, name: str) -> str:
    if part.tree.commit is not None:
        return f"{part.tree.where}@{part.tree.commit}"
    return file_digest(part.path(name))


def _whole(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _sampled(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        if path.suffix == ".safetensors":
            length = file.read(8)
            digest.update(length + file.read(int.from_bytes(length, "little")))
        for start in sample_starts(size):
            file.seek(start)
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def sample_starts(size: int) -> list[int]:
    """Where the pieces of `SAMPLE_BYTES` begin that stand for a file of `size` bytes."""
    return [(size - SAMPLE_BYTES) * i // (SAMPLES - 1) for i in range(SAMPLES)]
