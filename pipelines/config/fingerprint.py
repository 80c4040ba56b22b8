"""The detection of references that were replaced under their names."""

from __future__ import annotations

from typing import Literal

from pipelines.config.strict import StrictModel

FingerprintMode = Literal["uri", "stat", "content"]

_LOCAL = frozenset({"", "file"})
_HTTP = frozenset({"http", "https"})
_S3 = frozenset({"s3", "s3a"})
_INLINE = frozenset({"data", "sha256"})


class FingerprintConfig(StrictModel):
    """The detection of references that were replaced, for each kind of place."""

    local: FingerprintMode = "stat"
    """Local files. `stat`: size and time of the last change."""
    s3: FingerprintMode = "stat"
    """S3. `stat`: size and ETag, from listings; one more request per fetched object."""
    stores: FingerprintMode = "uri"
    """Google Cloud Storage, Azure and the Hugging Face Hub. `stat`: size and ETag or version, with
    one request per reference."""
    http: FingerprintMode = "uri"
    """Web servers. `stat`: ETag, else Last-Modified, with one request per reference."""

    def mode(self, scheme: str) -> FingerprintMode:
        """Return the mode of a URI's scheme, in lower case; a path has an empty one."""
        if scheme in _LOCAL:
            return self.local
        if scheme in _HTTP:
            return self.http
        if scheme in _S3:
            return self.s3
        return "uri" if scheme in _INLINE else self.stores

    @property
    def is_off(self) -> bool:
        """True if every kind of reference is known by its URI alone."""
        return {self.local, self.s3, self.stores, self.http} == {"uri"}
