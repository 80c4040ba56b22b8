"""Wishes of a server for a row, beside the row itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.formats import ImageEncoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A folder of images that is not the worker's own, and the form of the images.

    Attributes:
        path: an absolute path or an fsspec URL.
        run_id: id of the run that holds the lease of the folder; nothing is stored without it.
            None: there is no lease.
        creates: True if the store has conditional writes; see `Storage.creates`.
        give_up_after_s: seconds for which the store may be unavailable.
        encoding: format of the images.
        recipe_model: name of the model in the recipes that images hold; None: they hold none.
    """

    path: str
    run_id: str | None
    creates: bool = False
    give_up_after_s: float = 120
    encoding: ImageEncoding = field(default_factory=ImageEncoding)
    recipe_model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """The way in which a server wants a row to be handled.

    A row with a handling can be cancelled at each of its steps.

    Attributes:
        urgent: True if the row goes before all that are not, wherever it waits.
        watched: True if its worker tells the steps done (see `Activity.steps`).
        attempts: attempts for failures that a retry can help; None: those of the policy.
        destination: the folder of its images; None: that of the worker.
        row_id: id that names its images; None: that of the row, which a server makes unique.
    """

    urgent: bool = False
    watched: bool = False
    attempts: int | None = None
    destination: Destination | None = None
    row_id: str | None = None
