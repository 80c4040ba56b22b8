"""The requests of a run to a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx2

from pipelines.errors import ConfigError
from pipelines.handling import Destination
from pipelines.rows import ManifestRow
from pipelines.storage.urls import redact_uri
from pipelines.through.wire import (
    PREFIX,
    Ended,
    ServerFacts,
    destination_as_json,
    ended_from_json,
    row_as_json,
)
from pipelines.worker.activity import Activity

KEY_VARIABLE = "USO_API_KEY"
_TIMEOUT = httpx2.Timeout(60, connect=5)


class AwayError(Exception):
    """The server gives no answer, or none of its own; it may come back."""


class UnknownSessionError(Exception):
    """The server has been started anew, and knows nothing of the run."""


class RefusedError(Exception):
    """The server refuses a request; the text says why.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[1])


class Link:
    """A connection to a server. Thread-safe.

    Attributes:
        url: URL of the server, without credentials.
    """

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.url = redact_uri(url.rstrip("/"))
        self._client = httpx2.Client(
            base_url=f"{url.rstrip('/')}{PREFIX}", headers=headers, timeout=_TIMEOUT
        )

    @classmethod
    def from_environment(cls, url: str) -> Link:
        """Return a link whose key is in `USO_API_KEY`.

        Raises:
            ConfigError: the URL is not one, or the variable is not set.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"--through {url}: give a URL that begins with http:// or https://")
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise ConfigError(
                f"--through {redact_uri(url)}: set {KEY_VARIABLE} to a key of the server that may "
                "give batch rows; `uso keys create CONFIG NAME --batch` makes one"
            )
        return cls(url, key)

    def facts(self) -> ServerFacts:
        """Ask for the facts of the server.

        Raises:
            AwayError, RefusedError: there are none.
        """
        return ServerFacts(**self._ask("GET", "/server"))

    def open(self, destination: Destination) -> str:
        """Announce a run, and return the id of its session at this server process.

        Raises:
            AwayError, RefusedError: the server cannot take it.
        """
        answer = self._ask("POST", "/runs", {"destination": destination_as_json(destination)})
        return str(answer["session"])

    def give(self, session: str, rows: Sequence[ManifestRow]) -> None:
        """Give rows; a row that the server has already is left as it is."""
        self._ask("POST", f"/runs/{session}/rows", {"rows": [row_as_json(row) for row in rows]})

    def outcomes(
        self, session: str, after: int, wait_s: float
    ) -> tuple[list[Ended], bool, Activity | None]:
        """Wait for outcomes.

        Args:
            session: the session.
            after: number of the last known outcome; the server forgets this and earlier ones.
            wait_s: longest wait for the first one.

        Returns:
            The outcomes; True once an actor of the server is ready; and its actors' activity.
        """
        answer = self._ask("GET", f"/runs/{session}/outcomes?after={after}&wait_s={wait_s}")
        activity = answer["activity"]
        ended = [ended_from_json(each) for each in answer["outcomes"]]
        return ended, answer["ready"], None if activity is None else Activity(**activity)

    def withdraw(self, session: str) -> list[str]:
        """Take back the rows that no actor has, and return their ids."""
        return list(self._ask("POST", f"/runs/{session}/withdraw", {})["row_ids"])

    def end(self, session: str) -> None:
        """End the session: the server drops the rows that are still there."""
        self._ask("DELETE", f"/runs/{session}")

    def close(self) -> None:
        """Close the connections; requests under way end with `AwayError`."""
        self._client.close()

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401
        try:
            response = self._client.request(method, path, json=body)
        except (httpx2.HTTPError, RuntimeError) as error:  # RuntimeError: closed by another thread
            raise AwayError(str(error) or type(error).__name__) from error
        if response.is_success:
            found: dict[str, Any] = response.json()
            return found
        reason = _reason(response)
        if response.status_code >= 500 or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise AwayError(reason)
        if response.status_code == HTTPStatus.GONE:
            raise UnknownSessionError
        raise RefusedError(response.status_code, reason)


def _reason(response: httpx2.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
