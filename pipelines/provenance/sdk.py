"""The C2PA library, with settings that leave nothing to chance.

It never uses the network: a reference may name a manifest on any server, and the library would
fetch it. It makes no thumbnails unless asked. Whatever it signs, it reads back and validates.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from c2pa import Builder, C2paError, Context, Reader, Signer

from pipelines.provenance.certificate_rules import PURPOSES
from pipelines.provenance.references import IngredientFile

__all__ = ["C2paError", "SigningContext", "read_store"]

_READING: dict[str, Any] = {
    "version": 1,
    "core": {"allowed_network_hosts": [], "allow_redirects": False},
    "verify": {
        "verify_after_reading": True,
        "verify_after_sign": True,
        "verify_after_sign_hash": True,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    # Without it, the library calls the purposes invalid that C2PA's own trust list asks for.
    "trust": {"trust_config": "\n".join(PURPOSES.values())},
}


class SigningContext:
    """Signs files; several threads may use it at once.

    Args:
        signer: the signer; it belongs to the context from here on.
        thumbnail: long side of thumbnails in pixels; 0: none.
    """

    def __init__(self, signer: Signer, thumbnail: int = 0) -> None:
        thumbnails: dict[str, Any] = {"enabled": thumbnail > 0}
        if thumbnail:
            thumbnails["long_edge"] = thumbnail
        settings = {**_READING, "builder": {"thumbnail": thumbnails}}
        self._context = Context.from_dict(settings, signer)

    def sign(
        self,
        data: bytes,
        media_type: str,
        definition: dict[str, Any],
        ingredients: Sequence[IngredientFile] = (),
    ) -> bytes:
        """Return a file with a signed manifest, which was read back and found valid.

        Args:
            data: the file.
            media_type: its media type.
            definition: the manifest.
            ingredients: references whose own manifests go into that of the file.

        Raises:
            C2paError: the library, or the signer, has refused.
        """
        signed = io.BytesIO()
        with Builder(definition, self._context) as builder:
            for each in ingredients:
                assert each.file.data is not None
                with io.BytesIO(each.file.data) as source:
                    builder.add_ingredient(each.ingredient(), each.file.media_type, source)
            builder.sign(media_type, io.BytesIO(data), signed)
        return signed.getvalue()


def read_store(data: bytes, media_type: str, anchors: str | None = None) -> dict[str, Any] | None:
    """Return the manifests of a file and the results of their validation, as the library has them.

    Args:
        data: the file.
        media_type: its media type.
        anchors: PEM of the root certificates that are trusted; None: none is.

    Returns:
        None if the file has no manifest.

    Raises:
        C2paError: there is something, but it cannot be read.
    """
    trust = _READING["trust"] | ({} if anchors is None else {"user_anchors": anchors})
    context = Context.from_dict({**_READING, "trust": trust})
    try:
        reader = Reader(media_type, io.BytesIO(data), context=context)
    except C2paError.ManifestNotFound:
        return None
    with reader:
        store: dict[str, Any] = json.loads(reader.json())
    return store
