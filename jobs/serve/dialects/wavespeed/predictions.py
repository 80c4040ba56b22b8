"""Predictions: submit, result, list, cancel and delete."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from jobs.serve.bodies import forget_body
from jobs.serve.dialects.base import (
    AsKey,
    BaseUrl,
    WithService,
    asked_of,
    flag,
    idempotency_of,
    json_object,
    prompt_of,
    shortened,
    time_of,
)
from jobs.serve.dialects.wavespeed.view import MODEL, STATES, prediction, success
from jobs.serve.errors import ApiError, wrong
from jobs.serve.inputs import is_remote
from jobs.serve.service import Service
from jobs.serve.store.history import Filter
from jobs.serve.task import Drawing, NewTask, Task

router = APIRouter(tags=["WaveSpeed"])
submits = APIRouter(tags=["WaveSpeed"])

_IMAGES = ("reference_images", "images", "image")
"""Names of the style images. Only the first one that can be read counts.

WaveSpeedAI's MCP server knows the last two alone. It sends both, and fills one of them with the
path of a file on its own disk if its user has given that.
"""
_NAMES = {
    "width": "size",
    "height": "size",
    "num_steps": "num_inference_steps",
    "guidance": "guidance_scale",
}
_SHOWN = ("prompt", *_IMAGES, "seed", "size", "num_inference_steps", "guidance_scale", "num_images")
_SIZE = re.compile(r"\s*(?P<width>\d{1,9})\s*[*xX]\s*(?P<height>\d{1,9})\s*")
_TIMED_OUT = 5004
_MOST_ON_A_PAGE = 100


@router.get("/predictions/{task_id}/result")
@router.get("/predictions/{task_id}", include_in_schema=False)
async def result(task_id: str, request: Request) -> dict[str, Any]:
    """Return a prediction."""
    key, service, base_url = await asked_of(request)
    return success(await _whole(await service.task(task_id, key), service, base_url))


@router.post("/predictions")
async def list_predictions(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Return the predictions of the key, the newest first, page by page."""
    body = await json_object(request, optional=True)
    number, size = _whole_number(body, "page", 1), _whole_number(body, "page_size", 20)
    if size > _MOST_ON_A_PAGE:
        raise wrong("page_size", f"at most {_MOST_ON_A_PAGE}")
    total, found = await service.history.numbered_page(key.id, number, size, _filter(body))
    items = [prediction(task, service, base_url) for task in found]
    return success({"page": number, "total": total, "items": items})


@router.post("/predictions/delete")
async def delete_predictions(request: Request, key: AsKey, service: WithService) -> dict[str, Any]:
    """Delete predictions that have ended, and their images; unknown ones are passed over."""
    ids = (await json_object(request)).get("ids")
    if not isinstance(ids, list) or len(ids) > _MOST_ON_A_PAGE:
        raise wrong("ids", f"give a list of at most {_MOST_ON_A_PAGE} ids")
    found = [await service.tasks.get(each, key.id) for each in ids if isinstance(each, str)]
    ended = [task for task in found if task is not None and task.state.ended]
    for task in ended:
        await service.delete(task, with_files=True)
    return success({"deleted_count": len(ended)})


@router.delete("/predictions/{task_id}")
async def delete_prediction(
    task_id: str, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Cancel a prediction that has not ended, or delete one that has."""
    task = await service.task(task_id, key)
    if task.state.ended:
        await service.delete(task, with_files=True)
        return success({"id": task.id, "deleted": True})
    return success(prediction(await service.cancel(task), service, base_url))


@submits.post("/{model:path}")
async def submit(model: str, request: Request) -> dict[str, Any]:
    """Accept a task, and answer at once, or with its end in sync mode."""
    key, service, base_url = await asked_of(request)
    if model.rstrip("/") != MODEL:
        raise ApiError(404, f"there is no model {model}; this server has {MODEL}")
    body = await json_object(request, with_images=True)
    waits = flag(body, "enable_sync_mode") or flag(body, "sync_mode")
    if waits:
        service.quota.check_open(key)
    drawing = await _drawing(body, service, key.id, base_url)
    given = {name: shortened(body[name]) for name in _SHOWN if name in body}
    new = NewTask(
        key_id=key.id,
        dialect="wavespeed",
        drawing=drawing,
        given={**given, "seed": drawing.parameters["seed"]},
        extras={"base64": flag(body, "enable_base64_output"), "base_url": base_url},
        webhook=_webhook(request, body),
    )
    task = await service.accept(key, new, await idempotency_of(request))
    del body  # its images need not stay in memory during the wait
    forget_body(request)
    if not waits:
        return success(prediction(task, service, base_url))
    limit_s = service.config.serve.sync_timeout_s
    task = await service.wait(task, limit_s)
    data = await _whole(task, service, base_url)
    if not task.state.ended:
        text = f"Sync mode timed out after {limit_s:g} seconds. "
        text += "The prediction is still processing asynchronously."
        data |= {"status": "processing", "code": _TIMED_OUT, "error": text}
    return success(data)


async def _drawing(
    body: Mapping[str, Any], service: Service, key_id: str, base_url: str
) -> Drawing:
    field, styles = _styles(body)
    most = service.card.limits.max_styles
    if not isinstance(styles, list) or not 1 <= len(styles) <= most:
        raise wrong(field, f"give 1 to {most} URLs or data: URIs")
    prompt = body.get("prompt")
    return Drawing(
        prompt="" if prompt is None else prompt_of(prompt, "prompt"),
        styles=[
            await service.inputs.reference(style, f"{field}[{place}]", key_id, base_url)
            for place, style in enumerate(styles)
        ],
        parameters=service.parameters(_numbers(body), names=_NAMES),
    )


def _styles(body: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the style images of a request, and the name of their field."""
    given = {name: body[name] for name in _IMAGES if body.get(name)}
    lists = {name: [value] if isinstance(value, str) else value for name, value in given.items()}
    for name, value in lists.items():
        if isinstance(value, list) and all(map(is_remote, value)):
            return name, value
    return next(iter(lists.items()), (_IMAGES[0], []))


def _webhook(request: Request, body: Mapping[str, Any]) -> str | None:
    url = request.query_params.get("webhook") or body.get("webhook_url")
    if url is not None and not isinstance(url, str):
        raise wrong("webhook_url", "give a URL")
    return url or None


async def _whole(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    """Return a prediction, with its images inside if its request asked for that."""
    view = prediction(task, service, base_url)
    if not task.extras.get("base64") or not view["outputs"]:
        return view
    outputs = []
    for output in task.outputs:
        data = await service.files.read(await service.files.get(output.file_id))
        text = base64.b64encode(data).decode("ascii")
        outputs.append(f"data:{output.content_type};base64,{text}")
    return {**view, "outputs": outputs}


def _numbers(body: Mapping[str, Any]) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "seed": body.get("seed"),
        "num_steps": body.get("num_inference_steps"),
        "guidance": body.get("guidance_scale"),
        "num_images": body.get("num_images"),
    }
    size = body.get("size")
    if size not in (None, ""):
        match = _SIZE.fullmatch(size) if isinstance(size, str) else None
        if match is None:
            raise wrong("size", f"{str(size)[:40]!r} is not accepted; give WIDTH*HEIGHT")
        numbers |= {"width": int(match["width"]), "height": int(match["height"])}
    return numbers


def _filter(body: Mapping[str, Any]) -> Filter:
    """Return the tasks that a list asks for."""
    status, model = body.get("status"), body.get("model")
    states = None
    if status not in (None, ""):
        states = STATES.get(status) if isinstance(status, str) else None
        if states is None:
            accepted = ", ".join(STATES)
            raise wrong("status", f"{str(status)[:40]!r} is not accepted; give {accepted}")
    if model not in (None, "", MODEL):
        states = ()  # there are none of another model
    return Filter(
        states=states,
        since=time_of(body.get("created_after"), "created_after"),
        before=time_of(body.get("created_before"), "created_before"),
    )


def _whole_number(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10**6:
        raise wrong(name, "give a number from 1")
    return value
