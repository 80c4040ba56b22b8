"""The image plug-in that signs each image: a C2PA manifest in its file.

It seals the file: it comes after a safety check, which may have blurred the image, and before the
file is hashed and stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.config.provenance import ProvenanceConfig
from pipelines.config.variables import is_variable, variables_in
from pipelines.errors import ConfigError
from pipelines.formats import FORMAT_BY_SUFFIX, FORMATS
from pipelines.record import UNSIGNED_SHA256, recorded_inputs
from pipelines.worker.image_plugins import Finding, FinishedImage, ImagePlugin, Look
from uso_core.local_path import local_path

if TYPE_CHECKING:
    from pipelines.config.cluster import RayConfig
    from pipelines.config.schema import RunConfig

EXTRA = "c2pa"


def _options(config: RunConfig) -> dict[str, Any] | None:
    provenance = config.output.provenance
    if not provenance.c2pa:
        return None
    if find_spec("c2pa") is None:
        raise ConfigError(
            f"output.provenance.c2pa needs the extra {EXTRA}: pip install 'uso-batch[{EXTRA}]', on "
            "every machine that runs actors"
        )
    provenance = _with_absolute_paths(provenance)
    _check_here(provenance, config.ray)
    return {"provenance": provenance}


def _with_absolute_paths(config: ProvenanceConfig) -> ProvenanceConfig:
    named = {"certificate": config.certificate, "key": config.key}
    here = {
        name: str(local_path(path).absolute())
        for name, path in named.items()
        if path is not None and not is_variable(path)
    }
    return config.model_copy(update=here)


def _check_here(config: ProvenanceConfig, ray: RayConfig) -> None:
    """Check certificate, key and token, as far as this machine has them.

    Raises:
        ConfigError: they cannot be used; or they are not here, and no other machine is used.
    """
    from pipelines.provenance.certificates import Certificate  # noqa: PLC0415
    from pipelines.provenance.signing import ImageSigner  # noqa: PLC0415

    assert config.certificate is not None
    _refuse_plain(config, ray)
    may_be_elsewhere = ray.address not in ("local", "none")
    secrets = (config.key, config.signer_token)
    names = {name for secret in secrets for name in variables_in(secret or "")}
    files = [path for path in (config.key,) if path is not None and not is_variable(path)]
    is_away = may_be_elsewhere and not all(map(os.path.exists, (config.certificate, *files)))
    if not is_away and not names.intersection(ray.env) and not (names and may_be_elsewhere):
        ImageSigner(config)  # with a key, it signs a trial image
    elif not may_be_elsewhere or os.path.exists(config.certificate):
        Certificate.read(config.certificate)


def _refuse_plain(config: ProvenanceConfig, ray: RayConfig) -> None:
    """Raise `ConfigError` if `ray.env` holds a secret as text: Ray's logs would show it."""
    for key, value in (("key", config.key), ("signer_token", config.signer_token)):
        for name in variables_in(value or ""):
            if name in ray.env and not is_variable(ray.env[name]):
                raise ConfigError(
                    f"ray.env.{name}: holds the secret of output.provenance.{key} as text, which "
                    f"Ray's logs and run files would show; write ${{NAME}}, and set NAME where the "
                    "driver runs"
                )


def _load(options: Mapping[str, Any]) -> Look:
    # The library is an extra.
    from pipelines.provenance.claim import Claim  # noqa: PLC0415
    from pipelines.provenance.signing import ImageSigner  # noqa: PLC0415

    provenance: ProvenanceConfig = options["provenance"]
    signer = ImageSigner(provenance)

    def look(image: FinishedImage) -> Finding:
        assert image.model is not None
        width, height = image.image.size
        row, data = image.row, image.file.data
        media_type = FORMATS[FORMAT_BY_SUFFIX[f".{image.file.extension}"]].mime_type
        unsigned = hashlib.sha256(data).hexdigest()
        claim = Claim(
            model=image.model,
            inputs={**recorded_inputs(row), "width": width, "height": height},
            fingerprint=row.fingerprint,
            seed=row.parameters.seeds[image.index],
            index=image.index,
            unsigned_sha256=unsigned,
            references=image.files,
            library_styles=row.library_styles,
            training_mining=row.training_mining or provenance.training_mining,
        )
        signed = signer.sign(data, media_type, claim)
        return Finding(data=signed, values={UNSIGNED_SHA256: unsigned})

    return look


PLUGIN = ImagePlugin(
    name="signature",
    columns=(pa.field(UNSIGNED_SHA256, pa.string()),),
    on_error="fail",  # an image without a signature must not pass for one of a signed output
    options=_options,
    load=_load,
    needs_files=True,
    seals=True,
)
