"""Copies just enough of the weights at an fsspec URL to describe the model that they make.

A run's driver wants to know a model's name, limits and fingerprint, not its 34 GB. In a sparse copy
large weight files have their size, their header and the samples that their fingerprint is made of;
between these they have holes, which read as zeros and take no room on the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines.config.model import ModelConfig
from pipelines.storage.filesystems import Options
from pipelines.storage.stored_file import StoredFile
from pipelines.worker.model_files import cache_folder, fetch_whole, localize_with
from uso_core.loading import fingerprint
from uso_core.loading.source import ModelSource

logger = logging.getLogger(__name__)

_STREAMS = 16
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100 * 10**6  # safetensors' own limit


def sparse_copy(config: ModelConfig, options: Options) -> ModelSource:
    """Return the model's source as `model_files.localize` does, to be described but not loaded.

    `describe_model` and `dimensions_of` return the same for it as for the whole files, and raise
    the same for files that are missing or cut short. Sparse copies are kept apart from whole files,
    and a file is fetched again if it has changed at its source.

    Args:
        config: `cache_dir` is the parent of the local folders.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        StorageError: there is nothing at a URL, or it could not be read.
        CheckpointError: a file that the model needs is not at the URL.
    """
    return localize_with(_fetch_sparse, config, options, cache_folder(config) / "outlines")


def _fetch_sparse(file: StoredFile, target: Path) -> None:
    if file.size <= fingerprint.WHOLE_BYTES:
        fetch_whole(file, target)
        return
    logger.info("weights_outline uri=%s bytes=%d", file.uri, file.size)
    with target.open("wb") as copy:
        copy.truncate(file.size)
        for start, data in _pieces(file):
            copy.seek(start)
            copy.write(data)


def _pieces(file: StoredFile) -> Iterator[tuple[int, bytes]]:
    """Read the pieces that matter of a large file; yields each with its position."""

    def read(start: int, num_bytes: int) -> tuple[int, bytes]:
        return start, file.read_range(start, min(start + num_bytes, file.size))

    if file.path.endswith(".safetensors"):
        start, length = read(0, _LENGTH_BYTES)
        yield start, length
        yield read(_LENGTH_BYTES, min(int.from_bytes(length, "little"), _MOST_HEADER_BYTES))
    with ThreadPoolExecutor(_STREAMS) as pool:
        starts = fingerprint.sample_starts(file.size)
        yield from pool.map(lambda start: read(start, fingerprint.SAMPLE_BYTES), starts)
