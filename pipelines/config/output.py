"""The output of a run, and its failure budget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pipelines.config.provenance import ProvenanceConfig
from pipelines.config.strict import StrictModel
from pipelines.formats import DEFAULT_QUALITY, FormatName, ImageEncoding, LayoutName, can_write
from pipelines.name_template import NameTemplate

ImageCheck = Literal["none", "sizes", "full"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class OutputConfig(StrictModel):
    """The folder for images and records, and their format; see docs/output.md."""

    path: str
    """Local folder or fsspec URL."""
    name: str | None = None
    """Template of the images' names, for example `{content_stem}__{style_stem}`; they then go to
    `pictures/`. Default: `images/`, named after the row's id. See docs/output.md#names-of-your-own.
    """
    format: FormatName = "png"
    """Format of the images. WebP is lossy unless `lossless` is true; AVIF is always lossy, and
    needs a Pillow with its encoder, as on PyPI."""
    quality: int = Field(DEFAULT_QUALITY, ge=1, le=100)
    """Quality of JPEG, AVIF and lossy WebP."""
    lossless: bool = False
    """Use lossless WebP."""
    recipe: bool = True
    """Store the prompt, the seed, the model and the parameters in the metadata of each image; see
    docs/output.md#the-recipe-in-an-image."""
    provenance: ProvenanceConfig = ProvenanceConfig()
    """The signed C2PA manifest of each image; see docs/provenance.md#signed-provenance."""
    commit_seconds: float = Field(5, gt=0)
    """Longest time between two writes of records, in seconds."""
    commit_rows: int = Field(1000, ge=1)
    """Number of finished rows that triggers a write of records at once."""
    give_up_after_s: float = Field(120, gt=0)
    """Seconds for which the output may be unavailable (no answer, 5xx, slow down) before the run
    ends."""
    on_change: Literal["redo", "keep", "error"] = "redo"
    """Treatment of a completed row whose inputs, parameters or model have changed: generate it
    again, keep it, or end the run."""
    check_images: ImageCheck = "none"
    """Search at the start for images that are missing or damaged, and generate their rows again.
    `sizes` lists the images and compares sizes; `full` also reads each image and compares its
    SHA-256, which alone finds a file that was replaced by one of the same size. `uso run` has
    `--check-images` and `--check-images=full`."""
    layout: Literal["images", LayoutName] = "images"
    """`webdataset` and `parquet` also pack the images into shards at the end of the run, in a
    folder of that name; see docs/output.md#shards-for-other-loaders."""
    shard_images: int = Field(500, ge=1)
    """Target number of images per shard; a shard may hold as few as half of it."""
    skip_missing: bool = False
    """Pack without the rows whose images are missing or damaged; otherwise they end the run."""

    @field_validator("format", mode="before")
    @classmethod
    def _is_no_ending(cls, name: Any) -> Any:  # noqa: ANN401 (any YAML value)
        """Take the ending of the files for the name of their format."""
        return "jpeg" if name == "jpg" else name

    @field_validator("format")
    @classmethod
    def _is_writable(cls, name: FormatName) -> FormatName:
        if not can_write(name):
            raise ValueError(
                f"the Pillow of this machine cannot write {name}; install a wheel of Pillow from "
                "PyPI, here and on the machines that run actors, or give another format"
            )
        return name

    @field_validator("name", mode="before")
    @classmethod
    def _is_a_template(cls, name: Any) -> Any:  # noqa: ANN401 (any YAML value)
        if isinstance(name, dict) and len(name) == 1 and [*name.values()] == [None]:
            name = f"{{{next(iter(name))}}}"  # YAML reads a field without quotes as a mapping
        if isinstance(name, str):
            NameTemplate(name)
        return name

    @property
    def encoding(self) -> ImageEncoding:
        """The format of the image files and its settings."""
        return ImageEncoding(self.format, self.quality, self.lossless)


class OnErrorConfig(StrictModel):
    """The failure budget: the failures after which a run stops, or counts as failed.

    Rows that fail with `invalid_request` or `unsafe_content` do not count for `max_consecutive` and
    `max_recent_fraction`.
    """

    max_failed_fraction: Fraction = 0.0
    """Largest fraction of failed rows among all recorded rows with which the exit code is 0."""
    max_consecutive: int | None = Field(100, ge=1)
    """Consecutive failures that stop the run; `null`: no limit."""
    max_recent_fraction: Fraction | None = 0.9
    """Fraction of failures among the last 1,000 rows above which the run stops; `null`: no
    limit."""
    retry_failed: bool = False
    """Also retry rows whose recorded failure is not retryable."""
