"""`POST /apps/run`: accepts a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import (
    AsKey,
    BaseUrl,
    WithService,
    idempotency_of,
    json_object,
    shortened,
)
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.stream import stream_of
from jobs.serve.dialects.inferencesh.view import NAME, NAMESPACE, VERSION_ID, task_view
from jobs.serve.errors import ApiError, unknown
from jobs.serve.inputs import own_file
from jobs.serve.service import Service
from jobs.serve.task import Drawing, NewTask, Reference, State
from uso_core.request import Parameters

router = APIRouter(tags=["inference.sh"])

_APP = re.compile(
    r"(?:app/)?(?P<name>[^/@:]+/[^/@:]+)(?:@(?P<version>[^:]*))?(?::(?P<function>.+))?"
)
_IMAGES = ("content_image", "style_image", "extra_style_image", "style_images")
_KNOWN = {"prompt", "style_weights", *_IMAGES, *Parameters.__dataclass_fields__}


@router.post("/run", include_in_schema=False)
@router.post("/apps/run")
async def run(request: Request, key: AsKey, service: WithService, base_url: BaseUrl) -> Response:
    """Accept a task; with `wait` or `stream`, answer with its end."""
    body = await json_object(request)
    check_app(body.get("app"))
    given = body.get("input")
    if not isinstance(given, dict):
        raise ApiError(422, "input: give an object")
    drawing = await _drawing(given, service, key.id, base_url)
    new = NewTask(
        key_id=key.id,
        dialect="inferencesh",
        drawing=drawing,
        given={**shortened(given), "seed": drawing.parameters["seed"]},
        extras={"session_id": body["session"]} if body.get("session") else {},
        webhook=_webhook(body),
    )
    task = await service.accept(key, new, await idempotency_of(request))
    if body.get("stream") is True:
        return stream_of(request, task, service, base_url)
    wait = body.get("wait") is True or request.query_params.get("wait") in ("1", "true")
    if wait:
        task = await service.wait(task, service.config.serve.sync_timeout_s)
    view = await task_view(task, service, base_url)
    if not wait and task.state.ended:  # a replay; a client that polls would wait for ever
        view |= {"status": int(State.QUEUED), "status_text": "queued", "output": None}
    unknown_fields = sorted(given.keys() - _KNOWN)
    messages = [
        {"level": "warning", "message": f"input.{name} is unknown and has no effect"}
        for name in unknown_fields
    ]
    return success(request, view, messages)


def check_app(reference: object) -> None:
    """Raise `ApiError` unless a reference names the app of this server."""
    match = _APP.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        raise ApiError(422, f"app: give {NAMESPACE}/{NAME}")
    if match["name"] != f"{NAMESPACE}/{NAME}":
        raise unknown(f"app: this server has {NAMESPACE}/{NAME}")
    if match["version"] not in (None, "", "latest", VERSION_ID):
        raise unknown("version of the app")
    if match["function"] not in (None, "run"):
        raise unknown("function of the app: it has run")


async def _drawing(
    given: Mapping[str, Any], service: Service, key_id: str, base_url: str
) -> Drawing:
    prompt = given.get("prompt")
    if not isinstance(prompt, str):
        raise ApiError(422, "input.prompt: give a text; an empty one keeps the content's layout")
    if own_file(prompt, base_url) is not None:
        raise ApiError(
            422,
            "input.prompt: this is the URL of an upload. The client uploads a prompt that is the "
            "name of a file, or letters without spaces that could be base64; add a space to it",
        )

    async def image(value: object, field: str) -> Reference | None:
        uri = value.get("uri") or value.get("path") if isinstance(value, dict) else value
        if uri in (None, ""):
            return None
        return await service.inputs.reference(uri, f"input.{field}", key_id, base_url)

    styles = [await image(given.get(name), name) for name in ("style_image", "extra_style_image")]
    more = given.get("style_images") or []
    if not isinstance(more, list):
        raise ApiError(422, "input.style_images: give a list")
    styles += [await image(each, f"style_images[{place}]") for place, each in enumerate(more)]
    present = [style for style in styles if style is not None]
    most = service.card.limits.max_styles
    if len(present) > most:
        raise ApiError(422, f"input: {len(present)} styles are given; at most {most} are accepted")
    names = Parameters.__dataclass_fields__
    return Drawing(
        prompt=prompt,
        content=await image(given.get("content_image"), "content_image"),
        styles=present,
        parameters=service.parameters({name: given.get(name) for name in names}, "input."),
        style_weights=service.style_weights(given.get("style_weights"), len(present)),
    )


def _webhook(body: Mapping[str, Any]) -> str | None:
    webhook = body.get("webhook")
    if webhook is not None and not isinstance(webhook, str):
        raise ApiError(422, "webhook: give a URL")
    return webhook or None
