"""Styles made of numbers instead of images, and a library with some."""

from __future__ import annotations

from typing import Any

import torch

from pipelines.styles.style_file import StyleFacts, StyleImage, style_file
from uso_core.model.style_tokens import as_encoded


def made_style(seed: int = 0, **changes: Any) -> tuple[StyleFacts, bytes]:
    """The facts and the file of a style for the model with the fingerprint `0123abcd`."""
    tokens = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    style = as_encoded(tokens)
    facts = StyleFacts(
        **{
            "sha256": style.sha256,
            "model": "base",
            "model_fingerprint": "0123abcd",
            "preset": "exact",
            "dtype": "float32",
            "licence": "CC0",
            "images": (StyleImage("a.png", "f00d", 1.0, "aGk="),),
            "created_at": "2026-11-29T00:00:00+00:00",
            **changes,
        }
    )
    return facts, style_file(style, facts)
