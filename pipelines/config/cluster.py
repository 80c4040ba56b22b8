"""The actors that generate images, and the Ray cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.strict import StrictModel


class ActorRange(StrictModel):
    """A range for the number of actors, for a cluster that grows and shrinks."""

    min: int = Field(1, ge=1)
    """The run ends if the cluster has room for fewer actors for `placement_timeout_s` seconds."""
    max: int = Field(ge=1)
    """The run starts this many actors if the cluster has room for them."""

    @model_validator(mode="after")
    def _ordered(self) -> ActorRange:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class StylizeConfig(StrictModel):
    """The actors, each a process with one model, and how they get their rows.

    Beside its model, an actor needs memory for `fetch.cache_mb`; for each of `fetch.concurrency`
    references that are fetched at the same time, its file twice (up to `fetch.max_mb`) and its
    pixels while they are decoded (up to `fetch.max_megapixels`, at up to 16 bytes each); and for
    each row in flight, up to five decoded references, at 4 bytes per pixel, until they are resized,
    and 8 while one is. Only images at these limits need that much: a photograph of 12 megapixels
    takes up to 192 MB while it is decoded, then 48 MB. If memory is short, lower
    `fetch.max_megapixels`, `fetch.concurrency` or `max_rows_in_flight`.
    """

    actors: Annotated[int, Field(ge=1)] | ActorRange = 1
    """Number of actors, or a range for a cluster that grows and shrinks."""
    gpus_per_actor: float = Field(1, ge=0)
    """GPUs that Ray reserves for an actor; 0 runs on the CPU."""
    cpus_per_actor: float = Field(1, gt=0)
    """CPUs that Ray reserves for an actor, and threads for the parts of a model that run on the
    CPU."""
    rows_in_flight: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """Rows on one actor at a time: the device works on one while references of others are fetched
    and images of others are stored. `auto` adapts to the measured times, up to
    `max_rows_in_flight`."""
    max_rows_in_flight: int = Field(8, ge=1, le=64)
    """Upper bound of `auto`, which also bounds the memory of an actor."""
    batch_images: int = Field(1, ge=1, le=16)
    """Largest number of images of up to 640x640 pixels that an actor generates as one batch. Needs
    `model.preset` `fp8` or `low_vram`, and `max_rows_in_flight` above twice this number; see
    docs/presets.md#batches-of-small-images."""
    attempts: int = Field(3, ge=1)
    """Attempts per row and run, for retryable failures."""
    row_timeout_s: float = Field(1800, gt=0)
    """Seconds for a row on an actor, from fetching its references to storing its images; if other
    rows are on the actor, as many times this. An actor that takes longer is killed and
    replaced."""
    start_attempts: int = Field(3, ge=1)
    """Consecutive failed starts of an actor that end the run, if no other actor works."""
    placement_timeout_s: float = Field(1800, gt=0)
    """Seconds without room for `actors.min` actors (1 if `actors` is a number) that end the run."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of the run, from which rows with seed -1 derive theirs."""

    @property
    def most_rows_in_flight(self) -> int:
        """Largest number of rows that one actor may hold at once."""
        return self.max_rows_in_flight if self.rows_in_flight == "auto" else self.rows_in_flight

    @property
    def min_actors(self) -> int:
        """Smallest number of actors with which the run continues."""
        return 1 if isinstance(self.actors, int) else self.actors.min

    @property
    def max_actors(self) -> int:
        """Largest number of actors at once."""
        return self.actors if isinstance(self.actors, int) else self.actors.max


class RayConfig(StrictModel):
    """The Ray cluster of the run."""

    address: str = "local"
    """Address of the cluster. `local` starts one on this machine for the run; `auto` joins the one
    that this process is part of. `none` does without Ray: one worker in the driver's own process,
    which starts in less time, but cannot be restarted if the model crashes or hangs."""
    num_cpus: int | None = Field(None, ge=1)
    """CPUs of a `local` cluster. Default: as many as the machine has, or as the actors need if that
    is more."""
    object_store_mb: int = Field(200, ge=80)
    """Size of the object store of a `local` cluster, in MB; only rows and outcomes go through
    it."""
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Port of the Prometheus metrics of a `local` cluster. Default: a free port, which the log
    names."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the actors, e.g. `AWS_ENDPOINT_URL`. `${NAME}` takes a value from
    the driver's environment and keeps it out of Ray's logs, which show all other values."""
    stop_grace_s: float = Field(60, ge=0)
    """Seconds for the rows on the actors to finish after Ctrl-C or SIGTERM."""

    @property
    def is_off(self) -> bool:
        """True for a run in the driver's own process."""
        return self.address == "none"
