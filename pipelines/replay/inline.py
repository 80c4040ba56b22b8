"""Finds inline images again: records have their hashes, and the manifest has the images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from pipelines.config.schema import RunConfig
from pipelines.display import display_reference
from pipelines.errors import ManifestError, StorageError
from pipelines.manifest.manifest import Manifest
from pipelines.replay.recorded_row import is_inline
from pipelines.rows import ManifestRow, Reference
from uso_core.loading.source import ModelCard


def find_inline(
    config: RunConfig, card: ModelCard, hashes: Collection[str]
) -> dict[str, Reference]:
    """Return the inline images of a manifest with these hashes, as far as they are there.

    Reads the manifest once, and none if there are no hashes. A manifest that cannot be read has no
    images.
    """
    found: dict[str, Reference] = {}
    if not hashes:
        return found
    whole = config.model_copy(update={"manifest": config.manifest.whole})
    try:
        for entry in Manifest.open(whole, card).entries():
            if not isinstance(entry.row, ManifestRow):
                continue
            for reference in (entry.row.content_image, *entry.row.style_images):
                shown = "" if reference is None else display_reference(reference)
                if reference is not None and shown in hashes:
                    found[shown] = reference
            if len(found) == len(hashes):
                break
    except (ManifestError, StorageError):
        return found
    return found


def with_inline(row: ManifestRow, images: Mapping[str, Reference]) -> ManifestRow | str:
    """Return a row with its inline images; the hash of one that was not found.

    Args:
        row: a row of a record, in which hashes stand for inline images.
        images: the images by hash.
    """
    references = [] if row.content_image is None else [row.content_image]
    for each in (*references, *row.style_images):
        if isinstance(each, str) and is_inline(each) and each not in images:
            return each
    content = row.content_image
    return replace(
        row,
        content_image=content if content is None else _image(content, images),
        style_images=tuple(_image(style, images) for style in row.style_images),
    )


def _image(reference: Reference, images: Mapping[str, Reference]) -> Reference:
    return images.get(reference, reference) if isinstance(reference, str) else reference
