"""What describing a model at an fsspec URL reads of its weights, and no more, as a folder here.

A run's driver wants to know a model's name, limits and fingerprint, not its 34 GB. In an outline
large weight files have their size, their header and the samples that their fingerprint is made of;
between these they have holes, which read as zeros and take no room on the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fsspec import AbstractFileSystem

from pipelines.config.model import ModelConfig
from pipelines.storage.filesystems import Options
from pipelines.storage.urls import redact_uri
from pipelines.worker.model_files import cache_folder, fetch_whole, localize_with, patiently
from uso_core.loading import fingerprint
from uso_core.loading.source import ModelSource

logger = logging.getLogger(__name__)

_STREAMS = 16
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100 * 10**6  # safetensors' own limit


def sparse_copy(config: ModelConfig, options: Options) -> ModelSource:
    """The model's source as `model_files.localize` gives it, to be described but not loaded.

    `describe_model` and `dimensions_of` say the same of it as of the whole files, and raise the
    same for files that are missing or cut short. Outlines are kept apart from whole files, and are
    fetched again where a file has changed at its source.

    Args:
        config: `cache_dir` is where the folders go.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        StorageError: there is nothing at a URL, or it could not be read.
        CheckpointError: a file that the model needs is not at the URL.
    """
    return localize_with(_fetch_outline, config, options, cache_folder(config) / "outlines")


def _fetch_outline(fs: AbstractFileSystem, remote: str, size: int, target: Path) -> None:
    if size <= fingerprint.WHOLE_BYTES:
        fetch_whole(fs, remote, size, target)
        return
    logger.info("weights_outline uri=%s bytes=%d", redact_uri(fs.unstrip_protocol(remote)), size)
    with target.open("wb") as file:
        file.truncate(size)
        for start, data in _pieces(fs, remote, size):
            file.seek(start)
            file.write(data)


def _pieces(fs: AbstractFileSystem, remote: str, size: int) -> Iterator[tuple[int, bytes]]:
    """What is read of a large file: the place of each piece, and the piece."""
    # Filesystems that are not asynchronous read ranges of an open file, by default megabytes ahead.
    how = {} if fs.async_impl else {"cache_type": "none"}

    def read(start: int, num_bytes: int) -> tuple[int, bytes]:
        stop = min(start + num_bytes, size)
        return start, patiently(lambda: fs.cat_file(remote, start=start, end=stop, **how))

    if remote.endswith(".safetensors"):
        start, length = read(0, _LENGTH_BYTES)
        yield start, length
        yield read(_LENGTH_BYTES, min(int.from_bytes(length, "little"), _MOST_HEADER_BYTES))
    with ThreadPoolExecutor(_STREAMS) as pool:
        starts = fingerprint.sample_starts(size)
        yield from pool.map(lambda start: read(start, fingerprint.SAMPLE_BYTES), starts)
