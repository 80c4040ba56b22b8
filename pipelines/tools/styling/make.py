"""Encodes images as a style of a library."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from PIL import Image

from pipelines.errors import StyleError
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.rights.policy import Asked
from pipelines.moments import utc_now
from pipelines.reference_facts import ReferenceRights
from pipelines.storage.urls import redact_uri
from pipelines.styles.style_file import StyleFacts, StyleImage, style_file
from uso_core.loading.source import ModelCard
from uso_core.protocol import AnyPipeline, EncodesStyles

THUMBNAIL_PIXELS = 128
"""Longest side of a thumbnail."""
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Source:
    """An image of a style to be.

    Attributes:
        reference: a URI or an absolute path.
        weight: its share, above 0.
    """

    reference: str
    weight: float


def make_style(
    pipeline: AnyPipeline,
    card: ModelCard,
    preset: str,
    sources: Sequence[Source],
    fetcher: Fetcher,
    licence: str | None = None,
) -> tuple[StyleFacts, bytes]:
    """Encode images as one style, the weighted mean of their tokens.

    Args:
        pipeline: the model.
        card: its description.
        preset: name of the preset with which it was loaded.
        sources: the images, at least one.
        fetcher: fetches the images, with the settings of the runs that will use the style.
        licence: licence of the images; None: as all of them state it, if they do.

    Returns:
        The facts about the style, and its file.

    Raises:
        RowFailedError: an image cannot be fetched.
        StyleError: the model cannot keep styles.
    """
    if not isinstance(pipeline, EncodesStyles):
        raise StyleError(card.name, "this model takes styles as images only")
    images, kept = [], []
    for source in sources:
        found = [ReferenceRights(licence)]
        asked = Asked("IMAGE", found[0], found.append)
        image = fetcher.fetch(source.reference, asked=asked)
        digest = hashlib.sha256(fetcher.read(source.reference).data).hexdigest()
        images.append(image)
        kept.append(
            StyleImage(
                _file_name(source.reference),
                digest,
                source.weight,
                _thumbnail(image),
                found[-1].licence,
                found[-1].wish,
            )
        )
    style = pipeline.encode_styles(images, [source.weight for source in sources])
    facts = StyleFacts(
        sha256=style.sha256,
        model=card.name,
        model_fingerprint=card.fingerprint,
        preset=preset,
        dtype=str(style.tokens.dtype).removeprefix("torch."),
        licence=licence or _licence_of(kept),
        images=tuple(kept),
        created_at=utc_now(),
    )
    return facts, style_file(style, facts)


def _licence_of(images: Sequence[StyleImage]) -> str | None:
    found = [image.licence for image in images if image.licence is not None]
    return ", ".join(dict.fromkeys(found)) if len(found) == len(images) else None


def _file_name(reference: str) -> str:
    path = urlsplit(redact_uri(reference)).path if "://" in reference else reference
    return path.rstrip("/").rpartition("/")[2] or "image"


def _thumbnail(image: Image.Image) -> str:
    from uso_core.model.images import to_rgb  # noqa: PLC0415 (it imports torch)

    small = to_rgb(image).copy()
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
