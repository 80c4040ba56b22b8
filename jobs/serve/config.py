"""The configuration of `uso serve`: the sections of a run that apply, and `serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.config.inputs import FetchConfig
from pipelines.config.load import load
from pipelines.config.model import ModelConfig
from pipelines.config.output import OutputConfig
from pipelines.config.safety import SafetyConfig
from pipelines.config.schema import RunConfig
from pipelines.config.scores import ScoresConfig
from pipelines.config.strict import StrictModel
from pipelines.config.telemetry import LoggingConfig
from pipelines.formats import DEFAULT_QUALITY, FormatName


class ServeSection(StrictModel):
    """The server; see docs/serving.md."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8321, ge=0, le=65535)
    """Port to listen on; 0: any free one."""
    public_url: str | None = None
    """URL at which clients reach the server, for links. Default: the host of each request."""
    database: str = "out/serve/uso.db"
    """Database of tasks, keys and files: the path of an SQLite file, or a URL of Postgres,
    `postgresql://user:${NAME}@host/database`."""
    files: str = "out/serve/files"
    """Folder or fsspec URL of uploads and images."""
    style_library: str | None = None
    """Folder or URL of the library of styles, for runs through this server; see docs/styles.md."""
    redirect: bool = False
    """Answer the URL of a file with a redirect to S3, which then sends the bytes: `files` must be
    an s3: URL, and clients must reach its store."""
    format: FormatName = "png"
    """Format of the images."""
    quality: int = Field(DEFAULT_QUALITY, ge=1, le=100)
    """Quality of JPEG and of lossy WebP."""
    sync_timeout_s: float = Field(90, gt=0, lt=300)
    """Longest wait of a request that asks for the finished image."""
    metrics_host: str = "127.0.0.1"
    """Address of `metrics_port`."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Port for `/metrics` alone. Default: `port` answers it."""
    access_log: bool = True
    """Log a line for each request, at any `logging.level`."""
    trusted_proxies: list[str] = Field(default_factory=list)
    """Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are used."""
    max_connections: int = Field(10_000, ge=1)
    """Most open connections. The process needs as many open files, and 576 more."""
    max_queued: int = Field(10_000, ge=1)
    """Most tasks that wait for an actor; further ones are refused with 429."""
    max_body_mb: float = Field(120, gt=0)
    """Largest body of a request that submits a task, inline images included."""
    max_upload_mb: float = Field(20, gt=0)
    """Largest uploaded file."""
    keep_days: float = Field(7, gt=0)
    """Days for which uploads, tasks and their images are kept."""
    keep_gb: float | None = Field(None, gt=0)
    """Gigabytes of uploads and images that are kept. Over it, the oldest ended tasks and unused
    uploads go before their days are over. Default: no bound."""
    webhook_status_numbers: Literal["current", "seed"] = "current"
    """Numbers of the end of a task in inference.sh's webhooks: 10 completed, 11 failed, 12
    cancelled, as today, or 9, 10 and 11, as its first documentation had them."""
    allow_http_webhooks: bool = False
    """Send webhooks to URLs without TLS, too."""
    attempts: int = Field(3, ge=1)
    """Starts of the server in which an actor gets a task before it counts as failed."""

    @model_validator(mode="after")
    def _check_redirect(self) -> ServeSection:
        if self.redirect and not self.files.startswith("s3://"):
            raise ValueError("redirect: only S3 signs URLs; give an s3: URL as `files`")
        return self


class ServeConfig(StrictModel):
    """The configuration of a server, as in its YAML file."""

    serve: ServeSection = ServeSection()
    model: ModelConfig = ModelConfig()
    fetch: FetchConfig = FetchConfig()
    stylize: StylizeConfig = StylizeConfig()
    safety: SafetyConfig = SafetyConfig()
    scores: ScoresConfig = Field(default_factory=dict)
    """Numbers about each image, for runs through this server; see docs/scores.md."""
    ray: RayConfig = RayConfig()
    logging: LoggingConfig = LoggingConfig()
    storage: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """fsspec options by protocol, as in a run."""

    def as_run(self) -> RunConfig:
        """Return the configuration of a run whose workers are those of the server."""
        output = OutputConfig(
            path=self.serve.files, format=self.serve.format, quality=self.serve.quality
        )
        names = ("model", "fetch", "stylize", "safety", "scores", "ray")
        sections = {name: getattr(self, name) for name in names}
        return RunConfig.model_validate(
            {
                **sections,
                # Tasks come over HTTP.
                "manifest": {"path": "none", "style_library": self.serve.style_library},
                "output": output,
                "logging": self.logging,
                "storage": self.storage,
            }
        )


def load_serve_config(
    source: str | PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> ServeConfig:
    """Read the configuration of a server.

    Raises:
        ConfigError: see `pipelines.config.load.load`.
    """
    return load(ServeConfig, source, overrides)
