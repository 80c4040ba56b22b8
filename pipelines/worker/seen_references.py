"""The versions and files of a row's references, as they are fetched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipelines.provenance.references import ReferenceFile
from pipelines.rows import ManifestRow, ReferenceVersion


class Seen:
    """Collects the versions and files of a row's references, which several threads fetch.

    Attributes:
        row_id: the id of the row.
        places: number of references: the content image, if the row has one, and the style images.
    """

    def __init__(self, row: ManifestRow) -> None:
        """Begin with no version known."""
        self.row_id = row.id
        self.places = (row.content_image is not None) + len(row.style_images)
        self._versions: list[ReferenceVersion | None] = [None] * self.places
        self._files: list[ReferenceFile | None] = [None] * self.places

    def note(self, place: int) -> Callable[[ReferenceVersion], None]:
        """Return a function that takes the version of the reference at a place."""
        return partial(self._versions.__setitem__, place)

    def keep(self, place: int) -> Callable[[bytes], None]:
        """Return a function that takes the file of the reference at a place."""

        def keep(data: bytes) -> None:
            self._files[place] = ReferenceFile.of(data)

        return keep

    @property
    def files(self) -> tuple[ReferenceFile | None, ...]:
        """The files that were kept, by place."""
        return tuple(self._files)

    @property
    def versions(self) -> tuple[ReferenceVersion | None, ...]:
        """The versions so far, by place."""
        return tuple(self._versions)
