"""Work after the last row of a run."""

from __future__ import annotations

from pydantic import Field

from pipelines.config.strict import StrictModel


class OnEndConfig(StrictModel):
    """Work after the last row of a run."""

    replay_sample: int = Field(0, ge=0)
    """Number of this run's rows that its workers generate a second time, to compare the images; 0:
    none. See docs/provenance.md#at-the-end-of-a-run."""
