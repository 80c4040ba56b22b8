"""Tells receivers about the end of their tasks: signed, retried, at least once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpcore2
import httpx2

from jobs.serve.dialects import dialect_named
from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.service import Service
from jobs.serve.store.database import now_ms
from jobs.serve.store.deliveries import Delivery, DeliveryStore
from pipelines.fetch.deadline import Deadline, DeadlineExceededError
from pipelines.fetch.deadline_stream import until
from pipelines.fetch.guarded_transport import GuardedTransport
from pipelines.fetch.http_guard import (
    AddressRefusedError,
    GuardedBackend,
    NameNotFoundError,
)

logger = logging.getLogger(__name__)

WAITS_S = (10, 60, 300, 1800, 7200)
"""Seconds before each further attempt."""
_ATTEMPT_S = 10.0
_LOOK_S = 1.0
_SHORTEST_S = 0.2
_AT_ONCE = 16
_NETWORK = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError)
_MAY_PASS = frozenset({408, 425, 429})
_GONE = 410
_MOST_REFUSED = 3


class Webhooks:
    """Delivers the webhooks that are due, until it is stopped.

    Args:
        service: the server.
        deliveries: the outbox.
        base_url: the URL of the server, for links in the bodies of tasks that do not know the one
            at which they were submitted.
    """

    def __init__(self, service: Service, deliveries: DeliveryStore, base_url: str) -> None:
        # httpx2 logs every URL at INFO, and these may be secrets.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._service = service
        self._deliveries = deliveries
        self._base_url = base_url
        allow_private = service.config.fetch.allow_private_networks
        self._client = httpx2.Client(
            transport=GuardedTransport(GuardedBackend(allow_private=allow_private)),
            follow_redirects=False,
            trust_env=False,
        )
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")

    async def run(self) -> None:
        """Deliver until this coroutine is cancelled."""
        under_way: set[asyncio.Task[None]] = set()
        is_first = True
        try:
            while True:
                pause_s = 0.0
                try:
                    if is_first:
                        await self._deliveries.take_over()
                        is_first = False
                    await self._deliver_due(under_way)
                except DatabaseUnavailableError:  # the pool logs it
                    pause_s = _LOOK_S
                await asyncio.sleep(pause_s)
        finally:
            for attempt in under_way:
                attempt.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._client.close()

    async def _deliver_due(self, under_way: set[asyncio.Task[None]]) -> None:
        """Begin an attempt for each delivery that is due, and wait until one may begin next.

        A receiver that does not answer holds one of the places, and no other delivery. What could
        not be noted, because the database was away, is sent again.
        """
        pause_s = await self._pause_s()
        free = _AT_ONCE - len(under_way)
        due = await self._deliveries.take_due(free) if free and not pause_s else []
        under_way |= {asyncio.create_task(self._deliver(delivery)) for delivery in due}
        if len(under_way) == _AT_ONCE:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        elif not due:
            await asyncio.sleep(max(pause_s, _SHORTEST_S))
        ended = {attempt for attempt in under_way if attempt.done()}
        under_way -= ended
        for attempt in ended:
            attempt.result()

    async def _pause_s(self) -> float:
        """Return the seconds until a delivery is due, at most `_LOOK_S`; 0: one is due."""
        next_at = await self._deliveries.next_at()
        left = _LOOK_S if next_at is None else (next_at - now_ms()) / 1000
        return min(max(left, 0), _LOOK_S)

    async def _deliver(self, delivery: Delivery) -> None:
        task = await self._service.tasks.get(delivery.task_id)
        if task is None or task.webhook is None:
            await self._deliveries.settle(delivery, "the task was deleted", delivered=False)
            return
        base_url = self._service.config.serve.public_url or task.extras.get("base_url")
        base_url = (base_url or self._base_url).rstrip("/")
        body = dialect_named(task.dialect).webhook(task, self._service, base_url)
        content = json.dumps(body, separators=(",", ":")).encode()
        secret = self._service.links.webhook_secret(task.key_id)
        headers = signed(delivery.id, int(time.time()), content, secret)
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(
            self._threads, self._post, task.webhook, content, headers
        )
        await self._settle(delivery, result)

    async def _settle(self, delivery: Delivery, result: int | str) -> None:
        said = f"HTTP {result}" if isinstance(result, int) else result
        if isinstance(result, int) and 200 <= result < 300:
            self._service.metrics.webhooks.labels("delivered").inc()
            await self._deliveries.settle(delivery, said, delivered=True)
            return
        attempts = delivery.attempts + 1
        refused = isinstance(result, int) and 300 <= result < 500 and result not in _MAY_PASS
        over = attempts > len(WAITS_S) or (refused and attempts >= _MOST_REFUSED)
        if over or result == _GONE:
            logger.warning(
                "webhook_given_up task_id=%s attempts=%d reason=%r",
                delivery.task_id, attempts, said,
            )  # fmt: skip
            self._service.metrics.webhooks.labels("given_up").inc()
            await self._deliveries.settle(delivery, said, delivered=False)
            return
        self._service.metrics.webhooks.labels("failed").inc()
        at = now_ms() + WAITS_S[delivery.attempts] * 1000
        await self._deliveries.retry_at(delivery, said, at)

    def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int | str:
        """Send one attempt; return the status of the answer, or the cause of a failure."""
        try:
            with (
                until(Deadline.after(_ATTEMPT_S)),
                # The body of the answer is not read, however long it is.
                self._client.stream(
                    "POST", url, content=content, headers=dict(headers), timeout=_ATTEMPT_S
                ) as answer,
            ):
                return answer.status_code
        except AddressRefusedError:
            return "the address of the receiver is not public"
        except NameNotFoundError:
            return "the host of the receiver does not exist"
        except DeadlineExceededError:
            return f"no answer within {_ATTEMPT_S:g} s"
        except (*_NETWORK, httpx2.HTTPError, httpx2.InvalidURL) as error:
            return type(error).__name__


def signed(delivery_id: str, timestamp: int, content: bytes, secret: str) -> dict[str, str]:
    """Return the headers of a webhook.

    `webhook-signature` is WaveSpeed's form: HMAC-SHA256 in hex over id, time and body, with the
    text of the secret after `whsec_` as the key. `X-Webhook-Signature` is over the body alone.
    """
    key = secret.removeprefix("whsec_").encode()
    message = f"{delivery_id}.{timestamp}.".encode() + content
    whole = hmac.new(key, message, hashlib.sha256).hexdigest()
    body = hmac.new(key, content, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "uso-batch",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v3,{whole}",
        "X-Webhook-Signature": f"sha256={body}",
    }
