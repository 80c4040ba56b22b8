"""How a run is watched: its log, and the web server that is told how it goes."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from pipelines.config.strict import StrictModel
from pipelines.config.variables import is_variable

EventKind = Literal["start", "progress", "end", "failure"]

_HTTP = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)


class LoggingConfig(StrictModel):
    """The log of the driver, on stderr, and of the actors, in Ray's session folder."""

    format: Literal["text", "json"] = "text"
    """`json`: one object a line. Where stderr is no terminal, progress is among them."""
    level: Literal["debug", "info", "warning", "error"] = "warning"
    """Of the driver; `uso run --verbose` is `info`. The actors log `info` and above at least."""


class NotifyConfig(StrictModel):
    """A web server that is told how the run goes."""

    url: str | None = None
    """Gets a POST for each event; absent: nothing is sent. `${NAME}` is taken from the environment,
    for a URL that is a secret itself."""
    secret: str | None = None
    """`${NAME}`: the environment variable with the key that events are signed with; absent: they
    are not signed."""
    events: list[EventKind] = Field(["start", "progress", "end", "failure"], min_length=1)
    """What is told: the run's `start`, its `progress`, its `end` (interrupted ones too), and a
    `failure` that ended it."""
    every_percent: float = Field(10, gt=0, le=100)
    """Rows, in percent of the manifest, from one `progress` to the next."""
    timeout_s: float = Field(10, gt=0)
    """Seconds that one attempt gets."""
    attempts: int = Field(5, ge=1)
    """Times that one event is tried."""
    flush_s: float = Field(30, ge=0)
    """Seconds that the last events get at the end of the run; it does not wait for longer."""

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
    """Accept the URL of a web server.

    Raises:
        ValueError: it is none; the message does not show it.
    """
    if not _HTTP.match(url):
        raise ValueError("is not an http:// or https:// URL")
