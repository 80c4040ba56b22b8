"""What comes out, and how many failures are too many."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.config.strict import StrictModel
from pipelines.formats import DEFAULT_QUALITY, FormatName, ImageEncoding, LayoutName

Fraction = Annotated[float, Field(ge=0, le=1)]


class OutputConfig(StrictModel):
    """Where images and records go."""

    path: str
    """Folder, local or any fsspec URL."""
    format: FormatName = "png"
    quality: int = Field(DEFAULT_QUALITY, ge=1, le=100)
    """Of JPEG and lossy WebP."""
    lossless: bool = False
    """Of WebP."""
    commit_seconds: float = Field(5, gt=0)
    commit_rows: int = Field(1000, ge=1)
    give_up_after_s: float = Field(120, gt=0)
    """Seconds for which the output may be away (no answer, 5xx, slow down) before the run ends."""
    on_change: Literal["redo", "keep", "error"] = "redo"
    """What to do with a completed row whose inputs, parameters or model have changed since."""
    layout: Literal["images", LayoutName] = "images"
    """`webdataset`, `parquet`: at the end of the run the images are put into shards, too, in a
    folder of that name."""
    shard_images: int = Field(500, ge=1)
    """Images per shard, about; up to half fewer."""

    @property
    def encoding(self) -> ImageEncoding:
        """The format of the image files and its settings."""
        return ImageEncoding(self.format, self.quality, self.lossless)


class OnErrorConfig(StrictModel):
    """The failure budget."""

    max_failed_fraction: Fraction = 0.0
    """Failed rows, of all rows recorded, up to which the run counts as a success (exit code 0)."""
    max_consecutive: int | None = Field(100, ge=1)
    """Stop the run after so many failures in a row other than `invalid_request` (`null`: never)."""
    max_recent_fraction: Fraction | None = 0.9
    """Stop the run when more than this share of the last 1,000 rows failed other than with
    `invalid_request` (`null`: never)."""
    retry_failed: bool = False
    """Try rows again that failed for a reason that is not retryable, too."""
