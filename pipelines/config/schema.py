"""The run's configuration: one strict model, one section per concern, units in the names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]


class StrictModel(BaseModel):
    """Unknown keys are errors; values do not change after validation."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


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


class ModelConfig(StrictModel):
    """Which weights, and how they are run."""

    base: str = "black-forest-labs/FLUX.1-dev"
    """A diffusers-layout FLUX.1 (folder, hub id), a folder with the original's files, an fsspec URL
    of either, or `tiny` (`tiny:SEED`): random weights for trying things out."""
    base_revision: str | None = None
    uso: str = "bytedance-research/USO"
    """The USO LoRA and projector (folder, hub id, fsspec URL); unused where `base` holds them."""
    uso_revision: str | None = None
    siglip: str = "google/siglip-so400m-patch14-384"
    """The SigLIP vision model (likewise)."""
    siglip_revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on CUDA, float32 on the CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    preset: Literal["exact"] = "exact"
    compile: bool = False
    """torch.compile of the transformer's repeated blocks: a slow first image, faster ones after."""
    cache_dir: str | None = None
    """Node-local folder for weights pulled from an fsspec URL; absent: the user's cache folder."""


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


class ActorRange(StrictModel):
    """How many actors, where the cluster grows and shrinks."""

    min: int = Field(1, ge=1)
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> ActorRange:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class StylizeConfig(StrictModel):
    """The Stylizer actors and how rows are given to them."""

    actors: Annotated[int, Field(ge=1)] | ActorRange = 1
    gpus_per_actor: float = Field(1, ge=0)
    """0 runs on the CPU."""
    cpus_per_actor: float = Field(1, gt=0)
    rows_in_flight: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """Rows on one actor at a time: one is drawn, the others are fetched or stored. `auto` follows
    the measured times, up to `max_rows_in_flight`."""
    max_rows_in_flight: int = Field(8, ge=1, le=64)
    """Bound of `auto`; with it the memory in flight per actor is bounded too."""
    attempts: int = Field(3, ge=1)
    """Times a row is tried in one run when its failure is a retryable one."""
    row_timeout_s: float = Field(1800, gt=0)
    """A row that takes longer on the device, its references and its storing included, is cut off:
    its actor is killed and replaced."""
    start_attempts: int = Field(3, ge=1)
    """Failed actor starts in a row after which the run ends with the reason, where no actor is at
    work."""
    placement_timeout_s: float = Field(1800, gt=0)
    """Seconds with room for fewer than `actors.min` (1, where `actors` is a number) on the cluster
    after which the run ends."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """The run's seed, from which rows with seed -1 get theirs."""

    @property
    def min_actors(self) -> int:
        """Actors without which the run does not go on for long."""
        return 1 if isinstance(self.actors, int) else self.actors.min

    @property
    def max_actors(self) -> int:
        """Actors the run may have at once."""
        return self.actors if isinstance(self.actors, int) else self.actors.max


class OutputConfig(StrictModel):
    """Where images and records go."""

    path: str
    """Folder, local or any fsspec URL."""
    format: Literal["png", "webp", "jpeg"] = "png"
    quality: int = Field(95, ge=1, le=100)
    """Of JPEG and lossy WebP."""
    lossless: bool = False
    """Of WebP."""
    commit_seconds: float = Field(5, gt=0)
    commit_rows: int = Field(1000, ge=1)
    on_change: Literal["redo", "keep", "error"] = "redo"
    """What to do with a completed row whose inputs, parameters or model have changed since."""


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


class RayConfig(StrictModel):
    """Which Ray cluster the run uses."""

    address: str = "local"
    """`local` starts one on this machine for the run; `auto` joins the one this process is in."""
    num_cpus: int | None = Field(None, ge=1)
    """CPUs of a `local` cluster; absent: what the machine has, or what the actors need if more."""
    object_store_mb: int = Field(200, ge=80)
    """Object store of a `local` cluster: only rows and outcomes pass through it."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the actors, e.g. AWS_ENDPOINT_URL; `${NAME}` takes the driver's."""
    stop_grace_s: float = Field(60, ge=0)
    """Seconds that rows on the actors get to finish after Ctrl-C or SIGTERM."""


class RunConfig(StrictModel):
    """Everything one run needs to know."""

    manifest: ManifestConfig
    output: OutputConfig
    defaults: DefaultsConfig = DefaultsConfig()
    model: ModelConfig = ModelConfig()
    fetch: FetchConfig = FetchConfig()
    stylize: StylizeConfig = StylizeConfig()
    on_error: OnErrorConfig = OnErrorConfig()
    ray: RayConfig = RayConfig()
    storage: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """fsspec options by protocol, e.g. `s3: {endpoint_url: …, key: "${NAME}"}`, for manifest,
    references, weights and output alike. `${NAME}` stays as it is written until it is used, so that
    a secret never gets into the run file."""

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
        """The configuration in a YAML file.

        Args:
            path: the file.
            overrides: `a.b=c` each, put over what the file says (see `config_file.load_config`).

        Raises:
            ConfigError: with every problem, each with its key and what is accepted.
        """
        from pipelines.config.file import load_config  # noqa: PLC0415 (it needs this module)

        return load_config(path, overrides)
