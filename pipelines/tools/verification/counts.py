"""The numbers of things that a check of an output has looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class VerifyCounts:
    """Numbers of the things that were looked at.

    Attributes:
        parts: files of records.
        records: rows with a record.
        completed: rows whose record is completed.
        images: images that records name.
        image_bytes: bytes of images that were read.
        shards: packed shards.
        shard_images: images in them.
    """

    parts: int = 0
    records: int = 0
    completed: int = 0
    images: int = 0
    image_bytes: int = 0
    shards: int = 0
    shard_images: int = 0
