"""Versions, files, licences and wishes of a row's references, as they are fetched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipelines.fetch.rights.policy import Asked
from pipelines.provenance.references import ReferenceFile
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import ManifestRow, ReferenceVersion


class Seen:
    """Collects the facts about a row's references, which several threads fetch.

    Attributes:
        row_id: the id of the row.
        places: number of references: the content image, if the row has one, and the style images.
    """

    def __init__(self, row: ManifestRow) -> None:
        """Begin with nothing known but what the manifest states."""
        self.row_id = row.id
        self.places = row.num_references
        self._versions: list[ReferenceVersion | None] = [None] * self.places
        self._files: list[ReferenceFile | None] = [None] * self.places
        self._first_style = self.places - len(row.style_images)
        self._given = row.given_rights or (ReferenceRights(),) * self.places
        self._rights = [given if any(given) else None for given in self._given]

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

    def asked(self, place: int) -> Asked:
        """Return the question for licence and wish of the reference at a place."""
        style = place - self._first_style
        column = "content_image" if style < 0 else f"style_images[{style}]"
        return Asked(column, self._given[place], partial(self._rights.__setitem__, place))

    @property
    def rights(self) -> tuple[ReferenceRights | None, ...]:
        """The licences and wishes so far, by place."""
        return tuple(self._rights)

    @property
    def versions(self) -> tuple[ReferenceVersion | None, ...]:
        """The versions so far, by place."""
        return tuple(self._versions)
