"""Signed images for tests."""

from __future__ import annotations

from typing import Any

from pipelines.config.provenance import ProvenanceConfig
from pipelines.formats import FORMATS, FormatName, ImageEncoding
from pipelines.provenance.claim import Claim, ModelFacts
from pipelines.provenance.references import IngredientFile, ReferenceFile
from pipelines.provenance.signing import ImageSigner
from tests.pipelines.pictures import picture
from tests.pipelines.provenance.chains import Chain

MODEL = ModelFacts("a/model", "a licence", "beef", "exact")
INPUTS = {"prompt": "a boat", "width": 32, "height": 48, "num_steps": 2, "guidance": 4, "seed": 7}
ENCODINGS = {
    "png": ImageEncoding("png"),
    "jpeg": ImageEncoding("jpeg"),
    "webp": ImageEncoding("webp"),
    "avif": ImageEncoding("avif"),
    "lossless webp": ImageEncoding("webp", lossless=True),
}


def claim(**changes: Any) -> Claim:
    facts: dict[str, Any] = {
        "model": MODEL,
        "inputs": INPUTS,
        "fingerprint": "f00d",
        "seed": 7,
        "index": 0,
        "unsigned_sha256": "0" * 64,
    }
    return Claim(**{**facts, **changes})


def signer_with(chain: Chain, **keys: Any) -> ImageSigner:
    keys = {"key": str(chain.key), **keys} if "signer" not in keys else keys
    return ImageSigner(
        ProvenanceConfig.model_validate(
            {"c2pa": True, "certificate": str(chain.certificate), **keys}
        )
    )


def mime(name: FormatName) -> str:
    return FORMATS[name].mime_type


def encoded(name: str, seed: int = 0) -> bytes:
    return ENCODINGS[name].encode(picture(seed=seed))


def reference(data: bytes, role: str = "style", at: int = 1) -> IngredientFile:
    return IngredientFile(role, f"{role}-{at}", "harvest.jpg", ReferenceFile.of(data))
