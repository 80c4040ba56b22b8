"""Deliver events to a web server: signed, retried, and from a thread that never delays a run."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from pipelines.config.telemetry import EventKind, NotifyConfig, check_webhook_url
from pipelines.config.variables import resolve_variables
from pipelines.fetch.deadline import Deadline, DeadlineExceededError, call_until

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_PASSING = frozenset({408, 425, 429})  # and all from 500 on


@dataclass(frozen=True, slots=True)
class Receiver:
    """The web server that gets events, with secrets resolved.

    Attributes:
        url: the server's URL.
        key: the signing key; None: events are not signed.
    """

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_config(cls, config: NotifyConfig) -> Receiver | None:
        """Make the receiver of the `notify` section; None if it has no URL.

        Raises:
            ValueError: an environment variable is not set, or its value is not a URL.
        """
        if config.url is None:
            return None
        url = resolve_variables(config.url, "notify.url")
        try:
            check_webhook_url(url)
        except ValueError as error:
            raise ValueError(f"notify.url: {config.url} {error}") from None
        key = resolve_variables(config.secret, "notify.secret")
        if key == "":
            raise ValueError(f"notify.secret: {config.secret} is empty")
        return cls(url, None if key is None else key.encode())


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: `end` and `failure` are the last events of a run.
        payload: the JSON body.
        delivery: an id that stays the same in each attempt, so that a receiver can drop repeats.
    """

    kind: EventKind
    payload: Mapping[str, Any]
    delivery: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def is_last(self) -> bool:
        """True if no event follows."""
        return self.kind in ("end", "failure")


class Webhook:
    """Delivers events in order; each is retried until it is accepted or given up.

    `send` never waits. At most one `progress` event waits: a newer one replaces it, and one that
    the receiver does not accept gives way to the event behind it.
    """

    def __init__(self, receiver: Receiver, config: NotifyConfig) -> None:
        """Deliver to `receiver`, with the attempts and time-outs of `config`."""
        # httpx2 logs every URL at INFO, and this one may be a secret.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._receiver = receiver
        self._config = config
        self._client = httpx2.Client(timeout=config.timeout_s, follow_redirects=False)
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._open = 0  # events that are neither delivered nor replaced
        self._closing = False
        self._thread = threading.Thread(target=self._deliver_all, name="webhook", daemon=True)
        self._thread.start()

    def send(self, event: Event) -> None:
        """Queue an event for delivery and return at once."""
        with self._changed:
            if event.kind == "progress" and self._waiting and self._waiting[-1].kind == "progress":
                self._waiting[-1] = event
                return
            self._waiting.append(event)
            self._open += 1
            self._changed.notify_all()

    def close(self) -> int:
        """Wait up to `flush_s` for waiting events; return the number of undelivered ones."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._config.flush_s)
        with self._changed:
            undelivered, self._open = self._open, 0
        if self._thread.is_alive():
            logger.warning("webhook_given_up after_s=%g", self._config.flush_s)
        return undelivered

    def _deliver_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    break
                event = self._waiting.popleft()
            if self._deliver(event):
                with self._changed:
                    self._open -= 1
        self._client.close()

    def _deliver(self, event: Event) -> bool:
        attempts = stop_after_attempt(self._config.attempts)
        retrying = Retrying(
            stop=lambda state: attempts(state) or self._gives_way(event),
            wait=wait_random_exponential(_FIRST_WAIT_S, _LONGEST_WAIT_S),
            retry=retry_if_exception(_may_pass),
            sleep=lambda seconds: self._pause(event, seconds),
            before_sleep=_note,
            reraise=True,
        )
        try:
            retrying(self._post_in_time, event)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            logger.warning(
                "webhook_undelivered event=%s attempts=%d reason=%s",
                event.kind, retrying.statistics["attempt_number"], _reason(error),
            )  # fmt: skip
            return False
        return True

    def _post_in_time(self, event: Event) -> None:
        """Post an event; a receiver that sends a byte now and then does not prolong the time."""
        try:
            call_until(Deadline.after(self._config.timeout_s), lambda: self._post(event))
        except DeadlineExceededError as error:
            raise httpx2.ReadTimeout("no answer within notify.timeout_s") from error

    def _post(self, event: Event) -> None:
        body = json.dumps(event.payload, separators=(",", ":")).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "uso-batch",
            "X-USO-Event": event.kind,
            "X-USO-Delivery": event.delivery,
            "X-USO-Timestamp": timestamp,
        }
        if self._receiver.key is not None:
            headers["X-USO-Signature"] = signature(self._receiver.key, timestamp, body)
        # Only the status of the answer is read, however long its body is.
        with self._client.stream("POST", self._receiver.url, content=body, headers=headers) as got:
            if not got.is_success:
                raise httpx2.HTTPStatusError("", request=got.request, response=got)

    def _gives_way(self, event: Event) -> bool:
        if event.is_last:
            return False
        return self._closing or (event.kind == "progress" and bool(self._waiting))

    def _pause(self, event: Event, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._gives_way(event), seconds)


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """Return `X-USO-Signature`: HMAC-SHA256 over the timestamp, a dot and the body, in hex."""
    digest = hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        return status in _PASSING or status >= 500
    return isinstance(error, httpx2.TransportError)


def _note(state: RetryCallState) -> None:
    error = None if state.outcome is None else state.outcome.exception()
    if error is not None:
        logger.info("webhook_retry attempt=%d reason=%s", state.attempt_number, _reason(error))


def _reason(error: BaseException) -> str:
    """Describe an error, without the URL."""
    if not isinstance(error, httpx2.HTTPStatusError):
        return f"{type(error).__name__}: {error}"
    response = error.response
    if response.has_redirect_location:
        return f"it answers {response.status_code}, and redirects are not followed (notify.url)"
    return f"it answers {response.status_code}"
