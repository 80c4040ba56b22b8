"""Where a run's rows are worked on: the Stylizer actors, and Ray."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.config.strict import StrictModel


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
    batch_images: int = Field(1, ge=1, le=16)
    """Most images of up to 640x640 px that an actor draws together, where rows of one shape wait.
    Faster where one alone does not keep the GPU busy; the last bits of a picture then depend on the
    others, so it is for `model.preset` `fp8` and `low_vram` alone. `auto` rows in flight grow with
    it: raise `max_rows_in_flight` to more than twice this number."""
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
    def most_rows_in_flight(self) -> int:
        """Largest number of rows that one actor may hold at once."""
        return self.max_rows_in_flight if self.rows_in_flight == "auto" else self.rows_in_flight

    @property
    def min_actors(self) -> int:
        """Actors without which the run does not go on for long."""
        return 1 if isinstance(self.actors, int) else self.actors.min

    @property
    def max_actors(self) -> int:
        """Actors the run may have at once."""
        return self.actors if isinstance(self.actors, int) else self.actors.max


class RayConfig(StrictModel):
    """Which Ray cluster the run uses."""

    address: str = "local"
    """`local` starts one on this machine for the run; `auto` joins the one this process is in."""
    num_cpus: int | None = Field(None, ge=1)
    """CPUs of a `local` cluster; absent: what the machine has, or what the actors need if more."""
    object_store_mb: int = Field(200, ge=80)
    """Object store of a `local` cluster: only rows and outcomes pass through it."""
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Port at which a `local` cluster serves its metrics, for Prometheus; absent: any free one,
    which the log tells."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the actors, e.g. AWS_ENDPOINT_URL; `${NAME}` takes the driver's."""
    stop_grace_s: float = Field(60, ge=0)
    """Seconds that rows on the actors get to finish after Ctrl-C or SIGTERM."""
