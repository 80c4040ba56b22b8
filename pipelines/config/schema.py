"""The configuration of a run: one section per concern, units in the names of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from pipelines.config.best_of import BestOfConfig
from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.config.inputs import DefaultsConfig, FetchConfig, ManifestConfig
from pipelines.config.load import load
from pipelines.config.model import ModelConfig
from pipelines.config.on_end import OnEndConfig
from pipelines.config.output import OnErrorConfig, OutputConfig
from pipelines.config.safety import SafetyConfig
from pipelines.config.scores import ScoresConfig
from pipelines.config.strict import StrictModel
from pipelines.config.telemetry import LoggingConfig, NotifyConfig
from uso_core.presets import PRESETS


class RunConfig(StrictModel):
    """The configuration of a run, as in its YAML file."""

    manifest: ManifestConfig
    output: OutputConfig
    defaults: DefaultsConfig = DefaultsConfig()
    model: ModelConfig = ModelConfig()
    fetch: FetchConfig = FetchConfig()
    stylize: StylizeConfig = StylizeConfig()
    safety: SafetyConfig = SafetyConfig()
    scores: ScoresConfig = Field(default_factory=dict)
    """Numbers about each image, by name; see docs/scores.md. A list of names, or each name with its
    options; `built_in` stands for all those without weights:

    ```yaml
    scores: [palette, structure]
    ```
    """
    best_of: BestOfConfig | None = None
    on_error: OnErrorConfig = OnErrorConfig()
    on_end: OnEndConfig = OnEndConfig()
    ray: RayConfig = RayConfig()
    logging: LoggingConfig = LoggingConfig()
    notify: NotifyConfig = NotifyConfig()
    storage: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """fsspec options by protocol, for the manifest, references, weights and output alike:

    ```yaml
    storage:
      s3:
        key: ${S3_KEY}
        secret: ${S3_SECRET}
        client_kwargs: {endpoint_url: https://s3.example.com}
    ```

    S3 uploads have no checksum trailer, because many stores reject it (the S3 API of Google Cloud
    Storage, OCI, R2, older MinIO and Ceph). If a bucket requires the checksums, ask for them:

    ```yaml
    storage:
      s3:
        config_kwargs: {request_checksum_calculation: when_supported}
    ```

    Other stores, for example: `gs: {token: key.json}` (extra `gcs`), `az: {account_name: …,
    account_key: "${AZURE_KEY}"}` or `az: {connection_string: "${AZURE_STORAGE}"}` (extra `azure`),
    `hf: {token: "${HF_TOKEN}"}`. Without options, each client looks in its usual places. The
    options of `az` also hold for `abfs://` and `abfss://`; a URL such as
    `abfss://container@account.dfs.core.windows.net/folder` names the account itself.

    A request is given up after 5 s without a connection and 15 s without a response, and only
    retried by the run: for `output.give_up_after_s` where the output is concerned, for 2 minutes
    for the manifest, as `fetch` says for references. Retries of the clients are off, on all stores.
    For the zonal buckets of Google Cloud, set `GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=true` in the
    environment of driver and actors; it is off by default, because its requests (gRPC) take minutes
    at endpoints that have only HTTP.
    """

    @model_validator(mode="after")
    def _batches_where_allowed(self) -> RunConfig:
        allowed = [name for name, preset in PRESETS.items() if preset.allows_batches]
        if self.stylize.batch_images > 1 and self.model.preset not in allowed:
            raise ValueError(
                f"stylize.batch_images is {self.stylize.batch_images}, and model.preset "
                f"{self.model.preset} generates each image alone, so that it depends on its row "
                f"only; leave batch_images out, or set model.preset to {' or '.join(allowed)}"
            )
        return self

    @model_validator(mode="after")
    def _has_a_library_for_its_style(self) -> RunConfig:
        if self.defaults.style is not None and self.manifest.style_library is None:
            raise ValueError(
                "defaults.style names a style of a library; set manifest.style_library to its "
                "folder or URL"
            )
        return self

    @model_validator(mode="after")
    def _has_gpus_for_the_preset(self) -> RunConfig:
        if self.model.chosen_preset.needs_gpu and self.stylize.gpus_per_actor == 0:
            raise ValueError(
                f"model.preset {self.model.preset} needs a GPU, and stylize.gpus_per_actor is 0"
            )
        return self

    @model_validator(mode="after")
    def _fits_one_process(self) -> RunConfig:
        if self.ray.is_off and (self.stylize.max_actors > 1 or self.ray.env):
            key = "ray.env" if self.ray.env else "stylize.actors"
            raise ValueError(
                f"ray.address none has one worker in this process, so {key} has no effect there; "
                "leave it out, or set ray.address to local"
            )
        return self

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
        """Read the configuration in a YAML file: the same as `load_config`."""
        return load_config(path, overrides)


def load_config(
    source: str | PathLike[str] | Mapping[str, Any], overrides: str | Sequence[str] = ()
) -> RunConfig:
    """Read the configuration of a run.

    Args:
        source: the path of the YAML file, or the content of such a file as a mapping.
        overrides: `a.b=c`, or a list of them, applied in order, as with `--set` (see
            `pipelines.config.load`).

    Raises:
        ConfigError: the file cannot be read, or something in it is not accepted; the message lists
            every problem with its key and the accepted values.
    """
    several = [overrides] if isinstance(overrides, str) else overrides
    return load(RunConfig, source, several)
