"""Cacheable parts of a row (prompt, content, styles), used to route similar rows together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.rows import ManifestRow
from pipelines.worker.batch_queue import BATCHED_PIXELS
from uso_core.loading.dimensions import EncodingCosts

BUCKET_WORTH = 100.0
"""Outweighs all keys of a row: a full batch saves hundreds of TFLOP on small outputs."""


@dataclass(frozen=True, slots=True)
class RowAffinity:
    """Hashes of the parts of a row that other rows may share.

    Attributes:
        keys: encoded parts of the row, each with the cost of encoding it, in TFLOP.
        bucket: batch key of the output, as far as the row determines it; None: the row is generated
            alone.
    """

    keys: Mapping[int, float]
    bucket: int | None


def affinity_of(row: ManifestRow, encoding: EncodingCosts, *, batched: bool) -> RowAffinity:
    """Compute the affinity of a row.

    Args:
        row: the manifest row; values inferred from its images are unknown.
        encoding: costs of the model.
        batched: True if workers generate small outputs of one bucket together.
    """
    parameters = row.parameters
    long_size = 0 if row.content_image is None else parameters.content_long_size
    keys = {hash(("prompt", row.prompt)): encoding.prompt}
    if long_size:
        keys[hash(("content", row.content_image, long_size))] = encoding.content
    for style in row.style_images:
        keys[hash(("style", style))] = encoding.style
    width, height, bucket = parameters.width, parameters.height, None
    # An inferred size is about a megapixel: too large for a batch.
    if batched and width and height and width * height <= BATCHED_PIXELS:
        bucket = hash((width, height, parameters.num_steps, long_size, row.num_styles))
    return RowAffinity(keys, bucket)
