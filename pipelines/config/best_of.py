"""Further tries of rows whose image has a poor score."""

from __future__ import annotations

from pydantic import Field

from pipelines.config.strict import StrictModel


class BestOfConfig(StrictModel):
    """Further tries, with other seeds, of rows whose image has a poor score.

    The best one is kept; see docs/scores.md#the-best-of-several. Default: there is one try.
    """

    n: int = Field(ge=2, le=100)
    """Most tries of a row, the first one included."""
    by: str = Field(min_length=1)
    """Name of the score that decides. It must be among `scores`, and have a better end."""
    until: float
    """Score with which a row is good enough: at least this, or at most this for a score that is
    better when lower."""
    max_extra: int | None = Field(None, ge=0)
    """Most images that an output gets beyond the first try of each row; `null`: only `n` counts."""
