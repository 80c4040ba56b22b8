"""WaveSpeedAI's REST API: `/api/v3`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, json_object, moment
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.task import Drawing, NewTask, State, Task

MODEL = "bytedance/uso"
_STATUS = {
    State.RECEIVED: "created",
    State.QUEUED: "created",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
_SHOWN = ("prompt", "reference_images", "seed", "size", "num_inference_steps", "guidance_scale")
_TASK_FAILED, _MEDIA_UNREACHABLE, _UNAVAILABLE, _TIMED_OUT = 1405, 1402, 5003, 5004
_CODES = {
    "uri_not_found": _MEDIA_UNREACHABLE,
    "uri_unreachable": _MEDIA_UNREACHABLE,
    "uri_refused": _MEDIA_UNREACHABLE,
    "image_corrupt": _MEDIA_UNREACHABLE,
    "image_unsupported": _MEDIA_UNREACHABLE,
    "image_too_large": _MEDIA_UNREACHABLE,
    "storage_write": _UNAVAILABLE,
}


class WaveSpeed:
    """See the module."""

    name = "wavespeed"

    def owns(self, path: str) -> bool:
        """See `Dialect`."""
        return path == "/api/v3" or path.startswith("/api/v3/")

    def router(self) -> APIRouter:
        """See `Dialect`."""
        router = APIRouter(prefix="/api/v3", tags=["WaveSpeed"])
        router.get("/predictions/{task_id}/result")(_result)
        router.get("/predictions/{task_id}")(_result)
        router.post("/{model:path}")(_submit)  # last: it takes every path
        return router

    def error(self, _request: Request, error: ApiError) -> Response:
        """See `Dialect`."""
        # Its clients know 400 alone for a bad parameter.
        status = 400 if error.status == 422 else error.status
        body = {"code": status, "message": error.message, "data": None}
        return JSONResponse(body, status, error.headers)

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """See `Dialect`."""
        return {**_prediction(task, service, base_url), "input": dict(task.given)}


async def _submit(
    model: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Accept a task, and answer at once, or with its end in sync mode."""
    if model != MODEL:
        raise ApiError(404, f"there is no model {model}; this server has {MODEL}")
    body = await json_object(request)
    styles = body.get("reference_images") or body.get("images") or body.get("image") or []
    styles = [styles] if isinstance(styles, str) else styles
    if not isinstance(styles, list) or not 1 <= len(styles) <= service.card.limits.max_styles:
        most = service.card.limits.max_styles
        raise ApiError(400, f"reference_images: give 1 to {most} URLs or data: URIs")
    prompt = body.get("prompt") or ""
    if not isinstance(prompt, str):
        raise ApiError(400, "prompt: give a text")
    drawing = Drawing(
        prompt=prompt,
        styles=[
            await service.inputs.reference(style, f"reference_images[{place}]", key.id, base_url)
            for place, style in enumerate(styles)
        ],
        parameters=service.parameters(_numbers(body)),
    )
    given = {name: _short(body[name]) for name in _SHOWN if name in body}
    new = NewTask(
        key_id=key.id,
        dialect=WaveSpeed.name,
        drawing=drawing,
        given={**given, "seed": drawing.parameters["seed"]},
        extras={"base64": body.get("enable_base64_output") is True},
        webhook=request.query_params.get("webhook") or body.get("webhook_url") or None,
    )
    task = await service.accept(new)
    if body.get("enable_sync_mode") is not True and body.get("sync_mode") is not True:
        return _success(_prediction(task, service, base_url))
    limit_s = service.config.serve.sync_timeout_s
    task = await service.wait(task, limit_s)
    data = _prediction(task, service, base_url)
    if not task.state.ended:
        text = f"Sync mode timed out after {limit_s:g} seconds. "
        text += "The prediction is still processing asynchronously."
        data |= {"status": "processing", "code": _TIMED_OUT, "error": text}
    return _success(data)


async def _result(
    task_id: str, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Return a prediction."""
    return _success(_prediction(await service.task(task_id, key), service, base_url))


def _success(data: object) -> dict[str, Any]:
    return {"code": 200, "message": "success", "data": data}


def _prediction(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    completed = task.state is State.COMPLETED
    return {
        "id": task.id,
        "model": MODEL,
        "outputs": list(service.urls(task, base_url)) if completed else [],
        "urls": {"get": f"{base_url}/api/v3/predictions/{task.id}/result"},
        "has_nsfw_contents": [output.nsfw is True for output in task.outputs],
        "status": _STATUS.get(task.state, "processing"),
        "created_at": moment(task.created_at),
        "error": task.error,
        "code": _CODES.get(task.error_code, _TASK_FAILED) if task.error_code else 0,
        "executionTime": task.inference_ms,
        "timings": {"inference": task.inference_ms},
    }


def _numbers(body: Mapping[str, Any]) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "seed": body.get("seed"),
        "num_steps": body.get("num_inference_steps"),
        "guidance": body.get("guidance_scale"),
        "num_images": body.get("num_images"),
    }
    size = body.get("size")
    if isinstance(size, str) and size:
        width, star, height = size.replace("x", "*").partition("*")
        if not (star and width.isdecimal() and height.isdecimal()):
            raise ApiError(400, f"size: {size!r} is not accepted; give WIDTH*HEIGHT")
        numbers |= {"width": int(width), "height": int(height)}
    return numbers


def _short(value: object) -> object:
    """Return a value of the input for answers, without the content of inline images."""
    if isinstance(value, list):
        return [_short(each) for each in value]
    if isinstance(value, str) and value[:5].lower() == "data:":
        return value.partition(",")[0] + ",…"
    return value
