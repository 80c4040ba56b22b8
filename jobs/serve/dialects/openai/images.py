"""The routes of OpenAI's images API, which answer with the finished images."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request

from jobs.serve.bodies import forget_body
from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, idempotency_of, json_object
from jobs.serve.dialects.error_texts import error_text
from jobs.serve.dialects.openai.requests import drawing_of, fields_and_images
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.store.keys import Key
from jobs.serve.store.replays import Replay
from jobs.serve.task import NewTask, Output, Reference, State, Task
from pipelines.failures import CODES

DIALECT = "openai"
_PATIENCE_S = 3600.0  # the client decides how long it waits
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
_SHOWN = ("prompt", "n", "size")

router = APIRouter(prefix="/v1/images", tags=["OpenAI"])


@router.post("/generations")
async def generations(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Generate images from a prompt, and answer with them."""
    body = await json_object(request)
    replay = await idempotency_of(request)
    return await _generated(body, [], key, service, base_url, replay)


@router.post("/edits")
async def edits(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Generate images from a prompt and images, and answer with them."""
    body, images = await fields_and_images(request, service, key, base_url)
    forget_body(request)
    # The boundary of a form differs in each request.
    content = json.dumps([body, [await _identity(image, service) for image in images]])
    replay = await idempotency_of(request, content.encode())
    return await _generated(body, images, key, service, base_url, replay)


async def _generated(
    body: Mapping[str, Any],
    images: Sequence[Reference],
    key: Key,
    service: Service,
    base_url: str,
    replay: Replay | None,
) -> dict[str, Any]:
    service.quota.check_open(key)
    drawing = drawing_of(body, images, service)
    given = {name: body[name] for name in _SHOWN if name in body}
    new = NewTask(key_id=key.id, dialect=DIALECT, drawing=drawing, given=given)
    task = await service.wait(await service.accept(key, new, replay), _PATIENCE_S)
    if task.state is not State.COMPLETED:
        raise _failure(task)
    as_urls = body.get("response_format") == "url"
    data = [
        {"url": service.url(output, task, base_url), **_flag(output)}
        if as_urls
        else {"b64_json": await _base64(output.file_id, service), **_flag(output)}
        for output in task.outputs
    ]
    return {
        "created": task.created_at // 1000,
        "data": data,
        "background": "opaque",
        "output_format": _FORMATS.get(task.outputs[0].content_type),
    }


def _flag(output: Output) -> dict[str, Any]:
    """Return the verdict of the safety check on an image; nothing if there was no check."""
    return {} if output.nsfw is None else {"has_nsfw_content": output.nsfw}


def _failure(task: Task) -> ApiError:
    """Return the error for a task without images.

    The client sends a request again on its own if the status is 409, 429, or 500 and above. So such
    a status is kept for failures after which that may help.
    """
    if not task.state.ended:
        return ApiError(503, f"the server stops; it draws task {task.id} after its next start")
    if task.state is State.CANCELLED:
        return ApiError(400, f"task {task.id} was cancelled", code="cancelled")
    facts = CODES.get(task.error_code)  # type: ignore[call-overload]  # of another set: no code
    is_passing = facts is not None and facts.retryable and task.error_code != "out_of_memory"
    text = error_text(task.error_code, task.error)
    code = "moderation_blocked" if task.error_code == "unsafe_content" else task.error_code
    return ApiError(503 if is_passing else 400, text, code=code)


async def _identity(image: Reference, service: Service) -> str | None:
    """Return a text that is the same for the same image."""
    if image.file_id is None:
        return image.uri
    return (await service.files.get(image.file_id)).sha256


async def _base64(file_id: str, service: Service) -> str:
    data = await service.files.read(await service.files.get(file_id))
    return base64.b64encode(data).decode("ascii")
