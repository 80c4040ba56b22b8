"""What of a row a worker makes once and keeps, so that another row with the same costs less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.rows import ManifestRow
from pipelines.worker.batch_queue import BATCHED_PIXELS

# TFLOP to encode one with FLUX.1-dev's encoders: T5 on 512 tokens, the VAE at 512x512, SigLIP.
PROMPT_WORTH = 4.8
CONTENT_WORTH = 1.1
STYLE_WORTH = 0.7

BUCKET_WORTH = 100.0
"""More than all else of a row: to fill a batch saves hundreds of TFLOP's time on small outputs."""


@dataclass(frozen=True, slots=True)
class RowAffinity:
    """What a row may have in common with others, as hashes: they hold no text and no image.

    Attributes:
        things: what is encoded for the row, and what each is worth, in TFLOP.
        form: what outputs that are drawn together have in common, as far as the row tells; None:
            the row is drawn alone.
    """

    keys: Mapping[int, float]
    bucket: int | None


def affinity_of(row: ManifestRow, *, batched: bool) -> RowAffinity:
    """The traits of a row.

    Args:
        row: as the manifest has it: what is inferred from its images is not known.
        batched: small outputs of one form are drawn together.
    """
    parameters = row.parameters
    long_size = 0 if row.content_image is None else parameters.content_long_size
    keys = {hash(("prompt", row.prompt)): PROMPT_WORTH}
    if long_size:
        keys[hash(("content", row.content_image, long_size))] = CONTENT_WORTH
    for style in row.style_images:
        keys[hash(("style", style))] = STYLE_WORTH
    width, height, bucket = parameters.width, parameters.height, None
    # A size that is inferred aims at a megapixel: too large to be drawn together.
    if batched and width and height and width * height <= BATCHED_PIXELS:
        bucket = hash((width, height, parameters.num_steps, long_size, len(row.style_images)))
    return RowAffinity(keys, bucket)
