"""The policy for references whose owners do not want them used for AI."""

from __future__ import annotations

from typing import Literal

from pipelines.config.strict import StrictModel

WishMode = Literal["honour", "record", "ignore"]


class WishesConfig(StrictModel):
    """The policy for references whose owners do not want them used for AI, by kind of place."""

    http: WishMode = "honour"
    """Web servers."""
    others: WishMode = "record"
    """Local files, stores and inline images."""

    def mode(self, scheme: str) -> WishMode:
        """Return the mode for a scheme in lower case; the scheme of a local path is empty."""
        return self.http if scheme in ("http", "https") else self.others

    def key(self, scheme: str) -> str:
        """Return the key of the mode for a scheme, for messages."""
        return f"fetch.wishes.{'http' if scheme in ('http', 'https') else 'others'}"
