"""A hash of the files that determine a model's output, cheap enough to compute before every run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles, ComponentName

WHOLE_BYTES = 64 * 2**20
"""Files up to this size are hashed as a whole, larger ones by samples."""
SAMPLES = 256
SAMPLE_BYTES = 64 * 2**10


def fingerprint(components: Mapping[ComponentName, ComponentFiles]) -> str:
    """Return the hash of a model's files, as 64 hexadecimal digits.

    It depends on the content of the files and the component that each belongs to, not on their
    location or modification time. Files on the Hub are identified by their repository's commit.

    Raises:
        CheckpointError: a file cannot be read, or is truncated.
    """
    lines = [
        f"{name}\t{Path(file).name}\t{_digest(component, file)}"
        for name, component in sorted(components.items())
        for file in component.names
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of samples of it if it is larger than `WHOLE_BYTES`.

    The samples are the size, the header of a safetensors file (each key, dtype, shape and offset),
    and 256 pieces of 64 KiB, evenly spaced from start to end. Another model, or one trained
    further, differs in every piece; a change to a single tensor may go unnoticed.

    Raises:
        CheckpointError: the file cannot be read, or is a truncated safetensors file.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy"):
                pass  # opening checks the header and that no bytes are missing
        return _sampled(path) if path.stat().st_size > WHOLE_BYTES else _whole(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            str(path), f"cannot be read ({error}); if its download was cut off, fetch it again"
        ) from error


def _digest(component: ComponentFiles, name: str) -> str:
    if component.listing.commit is not None:
        return f"{component.listing.location}@{component.listing.commit}"
    return file_digest(component.path(name))


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
    """Return the offsets of the pieces of `SAMPLE_BYTES` that represent a file of `size` bytes."""
    return [(size - SAMPLE_BYTES) * i // (SAMPLES - 1) for i in range(SAMPLES)]
