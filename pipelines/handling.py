"""Wishes of a server for a row, beside the row itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """The way in which a server wants a row to be handled.

    A row with a handling can be cancelled at each of its steps.

    Attributes:
        urgent: True if the row goes before all that are not, wherever it waits.
        watched: True if its worker tells the steps done (see `Activity.steps`).
        attempts: attempts for failures that a retry can help; None: those of the policy.
    """

    urgent: bool = False
    watched: bool = False
    attempts: int | None = None
