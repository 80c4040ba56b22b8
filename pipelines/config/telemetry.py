"""The log of a run, and the webhook that receives its events."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from pipelines.config.strict import StrictModel
from pipelines.config.variables import is_variable

EventKind = Literal["start", "progress", "end", "failure"]

_HTTP = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)


class LoggingConfig(StrictModel):
    """The log of the driver, on stderr, and of the actors; see docs/watching.md#the-log."""

    format: Literal["text", "json"] = "text"
    """`json`: one object per line, which includes progress if stderr is not a terminal."""
    level: Literal["debug", "info", "warning", "error"] = "warning"
    """Lowest level that the driver logs; `uso run --verbose` sets `info`. Actors log `info` and
    above even if the level is higher."""


class NotifyConfig(StrictModel):
    """A web server that receives events; see docs/watching.md#events-to-a-web-server."""

    url: str | None = None
    """URL that receives a POST for each event. If the URL is itself a secret, give it as `${NAME}`.
    Default: no events."""
    secret: str | None = None
    """Environment variable with the key that signs the events, as `${NAME}`. Default: unsigned
    events."""
    events: list[EventKind] = Field(["start", "progress", "end", "failure"], min_length=1)
    """Events to send: `start`, `progress`, `end` (also of an interrupted run), and the `failure`
    that ended the run."""
    every_percent: float = Field(10, gt=0, le=100)
    """Percent of the manifest's rows between two `progress` events."""
    timeout_s: float = Field(10, gt=0)
    """Seconds per attempt."""
    attempts: int = Field(5, ge=1)
    """Attempts per event."""
    flush_s: float = Field(30, ge=0)
    """Longest wait for the last events at the end of the run, in seconds."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not is_variable(url):
            check_webhook_url(url)
        return url

    @field_validator("secret")
    @classmethod
    def _is_variable(cls, secret: str | None) -> str | None:
        if secret is not None and not is_variable(secret):
            raise ValueError("must not be in the file; name an environment variable, as ${NAME}")
        return secret


def check_webhook_url(url: str) -> None:
    """Check the URL of a webhook.

    Raises:
        ValueError: not an http(s) URL; the message does not show it.
    """
    if not _HTTP.match(url):
        raise ValueError("is not an http:// or https:// URL")
