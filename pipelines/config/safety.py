"""The safety check of generated images."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from pipelines.config.strict import StrictModel


class SafetyConfig(StrictModel):
    """The check of generated images for nudity, on the CPU; see docs/safety.md."""

    mode: Literal["off", "flag", "withhold"] = "off"
    """`flag` records a score and a flag for each image. `withhold` also fails a row with a flagged
    image, as `unsafe_content`, and stores none of its images."""
    threshold: float = Field(0.2, gt=0, le=1)
    """Score from which an image is flagged."""
    checker: str = Field("open_nsfw", min_length=1)
    """The checker: `open_nsfw` (extra `safety`), the name of an installed one, or `module:NAME`;
    see docs/safety.md#another-checker."""

    @field_validator("mode", mode="before")
    @classmethod
    def _is_word(cls, value: Any) -> Any:  # noqa: ANN401 (any YAML value)
        """Return `off` for false: YAML reads an unquoted `off` as false."""
        return "off" if value is False else value
