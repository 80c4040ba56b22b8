"""Signed URLs of files: whoever holds one may read the file, or write it, without a key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks URLs; the same file has the same URL for its whole life.

    Attributes:
        secret: the key of the signatures.
    """

    secret: bytes

    def read(self, base_url: str, file_id: str, filename: str, expires_at: int) -> str:
        """Return the URL at which a file can be read until `expires_at`, in Unix seconds."""
        signature = self._signature("read", file_id, expires_at)
        return f"{base_url}/media/{file_id}/{quote(filename)}?e={expires_at}&s={signature}"

    def write(self, base_url: str, file_id: str, expires_at: int) -> str:
        """Return the URL at which a file can be uploaded until `expires_at`, in Unix seconds."""
        signature = self._signature("write", file_id, expires_at)
        return f"{base_url}/media/upload/{file_id}?e={expires_at}&token={signature}"

    def allows(self, verb: str, file_id: str, expires_at: int, signature: str, now: float) -> bool:
        """Return True if a signature is valid and not expired at `now`."""
        expected = self._signature(verb, file_id, expires_at)
        # The signature comes from outside, and `compare_digest` takes no text beyond ASCII.
        return hmac.compare_digest(expected.encode(), signature.encode()) and now < expires_at

    def signs(self, verb: str, file_id: str, expires_at: str | None, signature: str | None) -> bool:
        """Return True if parts of a URL are those of one that this server has made."""
        if expires_at is None or signature is None:
            return False
        return hmac.compare_digest(self._signature(verb, file_id, int(expires_at)), signature)

    def webhook_secret(self, key_id: str) -> str:
        """Return the secret that signs the webhooks of a key."""
        return f"whsec_{self._signature('webhook', key_id, 0)}"

    def _signature(self, verb: str, subject: str, expires_at: int) -> str:
        text = f"{verb} {subject} {expires_at}"
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()[:40]
