"""What goes in: the manifest, what its rows leave out, and how references are fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.strict import StrictModel


class ManifestConfig(StrictModel):
    """Where the rows come from."""

    path: str | list[str]
    """Parquet (or JSON Lines, CSV, the original's eval JSON): a path, a glob, a folder or a list of
    these, local or any fsspec URL."""
    format: Literal["auto", "parquet", "jsonl", "csv", "eval_json"] = "auto"
    """`auto` goes by the file name's ending."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name → the manifest's own, e.g. `prompt: caption`."""
    keep_columns: Literal["all", "none"] | list[str] = "all"
    """Which of the other columns go to the records: all, none, or those named."""
    base_uri: str | None = None
    """What relative references are relative to; absent: each manifest file's own folder."""
    limit: int | None = Field(None, ge=1)
    """Read only the first so many rows."""
    shard: Annotated[str, Field(pattern=r"^\d+/\d+$")] | None = None
    """`i/n` (i from 0): only the rows whose id hashes to shard i of n."""

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
            raise ValueError(f"{shard} is not accepted: i goes from 0 to n-1")
        return shard


class DefaultsConfig(StrictModel):
    """What a row gets where its own column is absent or null."""

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
                "style_weights has no default, because there is one for each style that a row has; "
                "give it as a column of the manifest"
            )
        return given


class FetchConfig(StrictModel):
    """How reference images are fetched, and what is refused."""

    timeout_s: float = Field(60, gt=0)
    """Seconds per URI, all attempts included."""
    attempts: int = Field(4, ge=1)
    max_mb: float = Field(64, gt=0)
    """Largest file, in MB (10⁶ bytes)."""
    max_megapixels: float = Field(100, gt=0)
    """Largest image, in megapixels."""
    max_redirects: int = Field(5, ge=0)
    concurrency: int = Field(8, ge=1)
    """References fetched at the same time, per actor."""
    cache_mb: float = Field(512, ge=0)
    """Memory per actor for fetched files that may be wanted again, in MB."""
    exif_rotate: bool = True
    """Turn photographs upright first; false is what the original does."""
    allow_private_networks: bool = False
    """Let http(s) URIs reach private, loopback and link-local addresses."""
    allow_local_files: bool = True
    local_roots: list[str] = Field(default_factory=list)
    """Local files are read only below these folders; empty: anywhere."""
