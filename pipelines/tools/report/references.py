"""The distinct references of the rows in one data file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.tools.report.pictures import Gallery


class References:
    """Numbers references in the order in which they appear."""

    def __init__(self, gallery: Gallery) -> None:
        """Describe the references by `gallery`."""
        self._gallery = gallery
        self._index: dict[str, int] = {}
        self.shown: list[dict[str, Any]] = []

    def index(self, uri: str) -> int:
        """Return the index of a reference in `shown`; adds a new one."""
        if uri not in self._index:
            self._index[uri] = len(self.shown)
            self.shown.append(self._gallery.shown_reference(uri))
        return self._index[uri]

    def indices(self, uris: Sequence[str]) -> list[int]:
        """Return the indices of references."""
        return [self.index(uri) for uri in uris]
