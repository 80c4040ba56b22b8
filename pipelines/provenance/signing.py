"""Signs images: with a key of this machine, or through a signer at a URL."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from functools import partial

from c2pa import C2paSignerInfo, C2paSigningAlg, Signer
from PIL import Image

from pipelines.config.provenance import ProvenanceConfig
from pipelines.errors import ConfigError
from pipelines.failures import Failure, RowFailedError
from pipelines.provenance.certificates import Certificate, read_key
from pipelines.provenance.claim import Claim, ModelFacts
from pipelines.provenance.references import IngredientFile
from pipelines.provenance.remote import RemoteSigner
from pipelines.provenance.sdk import C2paError, SigningContext, read_store

logger = logging.getLogger(__name__)

_MOST_REMEMBERED = 1024
_TRIAL = Claim(
    model=ModelFacts("trial", "none", "0", "exact"),
    inputs={},
    fingerprint="0",
    seed=0,
    index=0,
    unsigned_sha256="0",
)


class ImageSigner:
    """Signs images as a configuration says; several threads may use it at once.

    Args:
        config: `output.provenance`, with absolute paths.

    Raises:
        ConfigError: certificate and key cannot be used, or the C2PA library refuses them.
    """

    def __init__(self, config: ProvenanceConfig) -> None:
        assert config.certificate is not None
        certificate = Certificate.read(config.certificate)
        self._keeps_manifests = config.reference_manifests
        self._remote = None if config.signer is None else RemoteSigner(config, certificate)
        self._context = SigningContext(_signer(config, certificate, self._remote), config.thumbnail)
        self._unreadable: set[str] = set()
        if self._remote is None:
            self._try(certificate)

    def sign(self, data: bytes, media_type: str, claim: Claim) -> bytes:
        """Return an image with its signed manifest.

        A reference whose own manifest cannot be read is named by its hash alone.

        Args:
            data: the encoded image.
            media_type: its media type.
            claim: the facts of the image.

        Raises:
            RowFailedError: `signing_failed`; the signer does not answer, or the library refuses.
        """
        chained = [
            each
            for each in claim.references
            if self._keeps_manifests
            and each.file.data is not None
            and each.sha256 not in self._unreadable
        ]
        try:
            try:
                return self._signed(data, media_type, claim, {each.label for each in chained})
            except C2paError as error:
                if not chained:
                    raise
                bad = self._unreadable_among(chained, str(error))
            kept = {each.label for each in chained if each.sha256 not in bad}
            return self._signed(data, media_type, claim, kept)
        except C2paError as error:
            message = f"the C2PA library refused to sign: {error}"
            if self._remote is not None:
                message = f"{self._remote.shown} gave no signature that holds: {message}"
            raise RowFailedError(Failure("signing_failed", message)) from error

    def _unreadable_among(self, chained: Sequence[IngredientFile], reason: str) -> set[str]:
        """Return the hashes of references whose manifests make the library fail."""
        bad = {each.sha256 for each in chained if not _is_readable(each)}
        bad = bad or {each.sha256 for each in chained}
        for sha256 in sorted(bad):
            logger.warning("reference_manifest_left_out sha256=%s reason=%s", sha256, reason)
        if len(self._unreadable) < _MOST_REMEMBERED:
            self._unreadable |= bad
        return bad

    def _signed(self, data: bytes, media_type: str, claim: Claim, chained: set[str]) -> bytes:
        plain = [each for each in claim.references if each.label not in chained]
        files = [each for each in claim.references if each.label in chained]
        work = partial(self._context.sign, data, media_type, claim.definition(plain), files)
        return work() if self._remote is None else self._remote.during(work)

    def _try(self, certificate: Certificate) -> None:
        """Sign a trial image: the library checks the profile of a certificate only then."""
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "PNG")
        try:
            self._context.sign(buffer.getvalue(), "image/png", _TRIAL.definition([]))
        except C2paError as error:
            raise ConfigError(
                f"{certificate.where}: the C2PA library refuses the certificate: {error}; get one "
                "for signing C2PA manifests"
            ) from error


def _is_readable(reference: IngredientFile) -> bool:
    file = reference.file
    assert file.data is not None
    assert file.media_type is not None
    try:
        return read_store(file.data, file.media_type) is not None
    except C2paError:
        return False


def _signer(
    config: ProvenanceConfig, certificate: Certificate, remote: RemoteSigner | None
) -> Signer:
    algorithm = certificate.algorithm
    try:
        if remote is not None:
            callback: Callable[[bytes], bytes] = remote.signature
            kind = C2paSigningAlg[algorithm.upper()]
            return Signer.from_callback(callback, kind, certificate.chain)
        assert config.key is not None
        key = read_key(config.key, certificate)
        info = C2paSignerInfo(algorithm.encode(), certificate.chain.encode(), key, None)
        return Signer.from_info(info)
    except C2paError as error:
        raise ConfigError(
            f"{certificate.where}: the C2PA library refuses the certificate: {error}"
        ) from None
