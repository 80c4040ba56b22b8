"""The inputs of a run: the manifest, defaults of its rows, and the fetching of references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.strict import StrictModel


class ManifestConfig(StrictModel):
    """The rows of the run; see docs/manifest.md."""

    path: str | list[str]
    """Manifest files: a path, a glob, a folder or a list of these, each local or an fsspec URL."""
    format: Literal["auto", "parquet", "jsonl", "csv", "eval_json"] = "auto"
    """Format of the files: Parquet, JSON Lines, CSV or the original's eval JSON. `auto`: by the
    file extension."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The manifest's own column names, by documented name, e.g. `prompt: caption`."""
    keep_columns: Literal["all", "none"] | list[str] = "all"
    """Other columns that are copied to the records: all, none, or a list of names."""
    base_uri: str | None = None
    """Base of relative references. Default: the folder of each manifest file."""
    limit: int | None = Field(None, ge=1)
    """Number of rows to read, from the first."""
    shard: Annotated[str, Field(pattern=r"^\d+/\d+$")] | None = None
    """`i/n`, with i from 0 to n-1: read only the rows whose id hashes to shard i of n."""

    @property
    def paths(self) -> list[str]:
        """`path` as a list."""
        return [self.path] if isinstance(self.path, str) else self.path

    @property
    def shard_index(self) -> tuple[int, int] | None:
        """`shard` as (i, n)."""
        if self.shard is None:
            return None
        index, _, count = self.shard.partition("/")
        return int(index), int(count)

    @field_validator("shard")
    @classmethod
    def _within(cls, shard: str | None) -> str | None:
        index, _, count = (shard or "0/1").partition("/")
        if int(index) >= int(count):
            raise ValueError(f"{shard} is not accepted: i is from 0 to n-1")
        return shard


class DefaultsConfig(StrictModel):
    """Values for rows whose own column is absent or null, each as in docs/manifest.md.

    A relative reference here is resolved like a relative reference of the row. `style_weights` has
    no default, because a row has one weight for each of its styles.
    """

    prompt: str | None = None
    content_image: str | None = None
    style_image: str | None = None
    extra_style_image: str | None = None
    style_images: list[str] | None = None
    width: int | None = None
    height: int | None = None
    num_steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    keep_size: bool | None = None
    content_long_size: int | None = None
    num_images: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _weights_are_a_rows_own(cls, given: Any) -> Any:  # noqa: ANN401 (any YAML value)
        if isinstance(given, Mapping) and "style_weights" in given:
            raise ValueError(
                "style_weights has no default, because a row has one for each of its styles; give "
                "it as a column of the manifest"
            )
        return given


class FetchConfig(StrictModel):
    """Fetching of reference images, and its limits."""

    timeout_s: float = Field(60, gt=0)
    """Seconds per URI, with all attempts."""
    attempts: int = Field(4, ge=1)
    """Attempts per URI, for failures that a retry can help."""
    max_mb: float = Field(64, gt=0)
    """Largest file, in MB (10⁶ bytes)."""
    max_megapixels: float = Field(100, gt=0)
    """Largest image, in megapixels."""
    max_redirects: int = Field(5, ge=0)
    """Redirects per http(s) URI."""
    concurrency: int = Field(8, ge=1)
    """References that an actor fetches at the same time."""
    cache_mb: float = Field(512, ge=0)
    """Memory per actor for fetched files that other rows may need, in MB."""
    exif_rotate: bool = True
    """Turn photographs upright; the original does not."""
    allow_private_networks: bool = False
    """Let http(s) URIs reach private, loopback and link-local addresses."""
    allow_local_files: bool = True
    """Let references be local files."""
    local_roots: list[str] = Field(default_factory=list)
    """Folders to which local references are confined; empty: no restriction."""
