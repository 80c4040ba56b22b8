"""Signed provenance: the C2PA manifest in each image."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.strict import StrictModel
from pipelines.config.variables import is_variable
from pipelines.rows import TrainingMining

_SIGNER = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)
_PEM = "-----BEGIN"


class ProvenanceConfig(StrictModel):
    """The signed C2PA manifest of each image; see docs/provenance.md#signed-provenance.

    Keys are named, never given: a path, or `${NAME}` for an environment variable of the machines
    that run actors.
    """

    c2pa: bool = False
    """Sign each image (extra `c2pa`)."""
    certificate: str | None = None
    """PEM file with the signing certificate, then its intermediate certificates."""
    key: str | None = None
    """PEM file with the private key, on each machine that runs actors; or `${NAME}`, a variable of
    these machines with its content."""
    signer: str | None = None
    """http(s) URL of a signer, in place of `key`; see docs/provenance.md#a-remote-signer."""
    signer_token: str | None = None
    """Variable with the bearer token for the signer, as `${NAME}`."""
    signer_timeout_s: float = Field(10, gt=0)
    """Seconds per request to the signer."""
    signer_attempts: int = Field(4, ge=1)
    """Requests for a signature before its row fails."""
    thumbnail: int = Field(0, ge=0, le=1024)
    """Long side of a thumbnail in the manifest, in pixels; 0: no thumbnail. It costs more than
    the rest of the signature."""
    reference_manifests: bool = True
    """Copy the manifests of the references into that of the image, so that the chain is kept."""
    training_mining: TrainingMining | None = None
    """Wish of the images' owner about training and data mining (assertion `cawg.training-mining`).
    Default: none is stated."""
    training_mining_column: str | None = Field(None, min_length=1)
    """Column of your own with the wish of each row; `training_mining` holds where it is null."""
    watermark: Literal["none"] = "none"
    """An invisible watermark: there is none; see docs/provenance.md#an-invisible-watermark."""

    @field_validator("certificate", "key", mode="before")
    @classmethod
    def _is_a_name(cls, value: Any) -> Any:  # noqa: ANN401 (any YAML value)
        if isinstance(value, str) and (_PEM in value or "\n" in value.strip()):
            raise ValueError(
                "holds the content of a file; keys stay out of this file: give a path, or for a "
                "key ${NAME}"
            )
        if isinstance(value, str) and "${" in value and not is_variable(value):
            raise ValueError("mixes a path and a variable; give a path, or ${NAME} alone")
        return value

    @field_validator("signer")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not _SIGNER.match(url):
            raise ValueError("is not an http:// or https:// URL")
        return url

    @field_validator("signer_token")
    @classmethod
    def _is_variable(cls, token: str | None) -> str | None:
        if token is not None and not is_variable(token):
            raise ValueError("must not be in the file; name an environment variable, as ${NAME}")
        return token

    @field_validator("watermark", mode="before")
    @classmethod
    def _is_absent(cls, value: Any) -> Any:  # noqa: ANN401 (any YAML value)
        if value not in ("none", None):
            raise ValueError(
                "there is no invisible watermark: the known libraries (trustmark) download their "
                "weights while they run; leave this key out, and see "
                "docs/provenance.md#an-invisible-watermark"
            )
        return "none"

    @model_validator(mode="after")
    def _has_a_signer(self) -> ProvenanceConfig:
        if not self.c2pa:
            return self
        if self.certificate is None:
            raise ValueError("c2pa needs certificate, a PEM file; `uso keys test-ca` makes one")
        if (self.key is None) == (self.signer is None):
            raise ValueError("c2pa needs either key, a PEM file, or signer, a URL; give one")
        if self.signer_token is not None and self.signer is None:
            raise ValueError("signer_token is for a signer; give signer, or leave it out")
        return self
