"""The interface of a dialect, and the parts that all of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from jobs.serve import notes
from jobs.serve.bodies import body_of, sha256_of
from jobs.serve.direct import Direct
from jobs.serve.errors import ApiError, wrong
from jobs.serve.json_body import read_json
from jobs.serve.service import Service
from jobs.serve.store.keys import Key
from jobs.serve.store.replays import Replay
from jobs.serve.task import Task
from uso_core.errors import InvalidRequestError
from uso_core.request import check_prompt

_MOST_IDEMPOTENCY_KEY = 255
_SMALL_BODY = 10**6


class Dialect(Protocol):
    """One API: its routes, its errors and its webhooks."""

    @property
    def name(self) -> str:
        """Short name, as tasks hold it."""

    def owns(self, path: str) -> bool:
        """Return True if a path belongs to this API, whether there is a route for it or not."""

    def router(self) -> APIRouter:
        """Return the routes."""

    def direct(self) -> Mapping[str, Direct]:
        """Return the routes that every task needs, by method and path; see `DirectRoutes`."""

    def error(self, request: Request, error: ApiError) -> Response:
        """Return the answer to a request that is refused."""

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """Return the body of the webhook that tells about the end of a task."""


def service_of(request: Request) -> Service:
    """Return the service behind a request."""
    service: Service = request.app.state.service
    return service


async def key_of(request: Request) -> Key:
    """Return the key that a request carries.

    Raises:
        ApiError: there is none, or it is not valid.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise ApiError(401, "send your API key in the header `Authorization: Bearer KEY`")
    key = await service_of(request).keys.find(secret.strip())
    if key is None:
        raise ApiError(401, "this API key is unknown or revoked")
    notes.note(key=key.prefix)
    return key


def base_url_of(request: Request) -> str:
    """Return the URL of the server as clients reach it, without a slash at its end."""
    public = service_of(request).config.serve.public_url
    if public:
        return public.rstrip("/")
    host = request.headers.get("host")
    if host:  # `request.base_url` is the same, and takes ten times as long
        return f"{request.scope['scheme']}://{host}"
    return str(request.base_url).rstrip("/")


async def asked_of(request: Request) -> tuple[Key, Service, str]:
    """Return the key that a request carries, the service, and its URL; see `key_of`.

    It is for routes that every task needs: FastAPI takes 0.1 ms for as many dependencies.
    """
    return await key_of(request), service_of(request), base_url_of(request)


async def json_object(
    request: Request, *, optional: bool = False, with_images: bool = False
) -> dict[str, Any]:
    """Return the body of a request, which the request does not keep.

    Args:
        request: the request.
        optional: True if a request without a body counts as one with an empty object.
        with_images: True if the body may hold images, and so be large.

    Raises:
        ApiError: it is not a JSON object that is accepted, or too large.
    """
    largest = round(service_of(request).config.serve.max_body_mb * 10**6)
    data = await body_of(request, largest if with_images else min(largest, _SMALL_BODY))
    if optional and not data.strip():
        return {}
    try:
        body = read_json(data)
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object")
    return body


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a switch of a request; False if it is absent or null.

    Raises:
        ApiError: it is another kind of value.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong(name, "give true or false")
    return value is True


def prompt_of(value: object, field: str) -> str:
    """Return the prompt of a request.

    Raises:
        ApiError: it is another kind of value, or is too long.
    """
    if not isinstance(value, str):
        raise wrong(field, "give a text; an empty one keeps the content's layout")
    try:
        check_prompt(value)
    except InvalidRequestError as error:
        raise wrong(field, f"{len(value):,} characters are given; give {error.accepted}") from error
    return value


async def idempotency_of(request: Request, content: bytes | None = None) -> Replay | None:
    """Return the idempotency key of a request with the hash of its body; None without a key.

    Args:
        request: the request.
        content: stands for the body, if that differs between equal requests.

    Raises:
        ApiError: the key is too long.
    """
    key = request.headers.get("idempotency-key")
    if not key:
        return None
    if len(key) > _MOST_IDEMPOTENCY_KEY:
        raise ApiError(400, f"Idempotency-Key: {_MOST_IDEMPOTENCY_KEY} characters are accepted")
    hashed = sha256_of(request) if content is None else hashlib.sha256(content).hexdigest()
    return Replay(key, hashed)


def shortened(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a part of the input for answers, without the content of inline images."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if isinstance(value, str) and value[:5].lower() == "data:":
        return value[:100].partition(",")[0] + ",…"
    return value


def time_of(value: object, field: str) -> int | None:
    """Return a time of a request in milliseconds since the epoch; None if it is absent.

    Raises:
        ApiError: it is not a time of ISO 8601. One without a zone counts as UTC.
    """
    if value in (None, ""):
        return None
    try:
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        reason = f"{str(value)[:40]!r} is not accepted; give a time such as 2026-01-31T12:00:00Z"
        raise wrong(field, reason) from error
    at = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
    return round(at.timestamp() * 1000)


def moment(milliseconds: int) -> str:
    """Return a time as both APIs write it: ISO 8601, UTC, milliseconds, Z."""
    at = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
    return f"{at.isoformat()[:19]}.{milliseconds % 1000:03d}Z"


async def _service(request: Request) -> Service:
    return service_of(request)  # FastAPI runs a plain function in a thread


async def _base_url(request: Request) -> str:
    return base_url_of(request)


AsKey = Annotated[Key, Depends(key_of)]
WithService = Annotated[Service, Depends(_service)]
BaseUrl = Annotated[str, Depends(_base_url)]
