"""`POST /apps/run`: accepts a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.bodies import forget_body
from jobs.serve.dialects.base import (
    asked_of,
    flag,
    idempotency_of,
    json_object,
    prompt_of,
    shortened,
    time_of,
)
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.stream import stream_of
from jobs.serve.dialects.inferencesh.view import NAME, NAMESPACE, VERSION_ID, task_view
from jobs.serve.errors import unknown, wrong
from jobs.serve.service import Service
from jobs.serve.store.database import now_ms
from jobs.serve.task import Drawing, NewTask, Reference, State, new_id
from uso_core.request import Parameters

router = APIRouter(tags=["inference.sh"])

_APP = re.compile(
    r"(?:app/)?(?P<name>[^/@:]+/[^/@:]+)(?:@(?P<version>[^:]*))?(?::(?P<function>.+))?"
)
_IMAGES = ("content_image", "style_image", "extra_style_image", "style_images")
_MOST_NAMED = 20  # unknown fields, in warnings
_MOST_SESSION, _MOST_SESSION_S = 200, 3600
_KNOWN = {"prompt", "style_weights", *_IMAGES, *Parameters.__dataclass_fields__}


@router.post("/run", include_in_schema=False)
@router.post("/apps/run")
async def run(request: Request) -> Response:
    """Accept a task; with `wait` or `stream`, answer with its end."""
    key, service, base_url = await asked_of(request)
    body = await json_object(request, with_images=True)
    check_app(body.get("app"), body.get("function"))
    given = body.get("input")
    if not isinstance(given, dict):
        raise wrong("input", "give an object")
    waits = flag(body, "wait") or request.query_params.get("wait") in ("1", "true")
    streams = flag(body, "stream")
    if waits or streams:
        service.quota.check_open(key)
    session_id = _session(body)
    _check_time(body)
    drawing = await _drawing(given, service, key.id, base_url)
    new = NewTask(
        key_id=key.id,
        dialect="inferencesh",
        drawing=drawing,
        given={**_shown(given), "seed": drawing.parameters["seed"]},
        extras={"session_id": session_id, "base_url": base_url},
        webhook=_webhook(body),
    )
    task = await service.accept(key, new, await idempotency_of(request))
    unknown_fields = sorted(given.keys() - _KNOWN)[:_MOST_NAMED]
    del body, given  # their images need not stay in memory during the wait
    forget_body(request)
    if streams:
        return stream_of(request, task, service, base_url)
    if waits:
        task = await service.wait(task, service.config.serve.sync_timeout_s)
    view = await task_view(task, service, base_url)
    if not waits and task.state.ended:  # a replay; a client that polls would wait for ever
        view |= {"status": int(State.QUEUED), "status_text": "queued", "output": None}
    messages = [
        {"level": "warning", "message": f"input.{name[:80]} is unknown and has no effect"}
        for name in unknown_fields
    ]
    return success(request, view, messages)


def _shown(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input for answers: without fields that have no effect."""
    return {name: shortened(value) for name, value in given.items() if name in _KNOWN}


def check_app(reference: object, function: object = None) -> None:
    """Raise `ApiError` unless a reference names the app of this server, and its one function."""
    match = _APP.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        raise wrong("app", f"give {NAMESPACE}/{NAME}")
    if match["name"] != f"{NAMESPACE}/{NAME}":
        raise unknown(f"app: this server has {NAMESPACE}/{NAME}")
    if match["version"] not in (None, "", "latest", VERSION_ID):
        raise unknown("version of the app")
    if match["function"] not in (None, "run") or function not in (None, "", "run"):
        raise unknown("function of the app: it has run")


async def _drawing(
    given: Mapping[str, Any], service: Service, key_id: str, base_url: str
) -> Drawing:
    prompt = prompt_of(given.get("prompt"), "input.prompt")
    if service.inputs.own_file(prompt, base_url) is not None:
        reason = (
            "this is the URL of an upload. The client uploads a prompt that is the name of a file, "
            "or letters without spaces that could be base64; add a space to it"
        )
        raise wrong("input.prompt", reason)

    async def image(value: object, field: str) -> Reference | None:
        uri = value.get("uri") or value.get("path") if isinstance(value, dict) else value
        if uri in (None, ""):
            return None
        return await service.inputs.reference(uri, f"input.{field}", key_id, base_url)

    styles = [await image(given.get(name), name) for name in ("style_image", "extra_style_image")]
    more = given.get("style_images") or []
    if not isinstance(more, list):
        raise wrong("input.style_images", "give a list")
    styles += [await image(each, f"style_images[{place}]") for place, each in enumerate(more)]
    present = [style for style in styles if style is not None]
    most = service.card.limits.max_styles
    if len(present) > most:
        raise wrong("input", f"{len(present)} styles are given; at most {most} are accepted")
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
        raise wrong("webhook", "give a URL")
    return webhook or None


def _session(body: Mapping[str, Any]) -> str | None:
    """Return the id of the session; a new one gets an id, and nothing of it is kept."""
    session, timeout_s = body.get("session"), body.get("session_timeout")
    if session is not None and (not isinstance(session, str) or len(session) > _MOST_SESSION):
        raise wrong("session", "give an id, or new")
    is_number = isinstance(timeout_s, int) and not isinstance(timeout_s, bool)
    if timeout_s is not None and not (is_number and 1 <= timeout_s <= _MOST_SESSION_S):
        raise wrong("session_timeout", f"give 1 to {_MOST_SESSION_S:,} seconds")
    return new_id() if session == "new" else session or None


def _check_time(body: Mapping[str, Any]) -> None:
    at = time_of(body.get("run_at"), "run_at")
    if at is not None and at > now_ms():
        raise wrong("run_at", "tasks start as soon as they can; send this one at its time")
