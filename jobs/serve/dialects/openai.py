"""OpenAI's images API: `/v1/images/generations`, `/v1/images/edits` and `/v1/models`.

Of the images of an edit, the first is the content image and the others are styles, in order.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, idempotency_of, json_object
from jobs.serve.dialects.forms import content_type, file_name
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.store.keys import Key
from jobs.serve.task import Drawing, NewTask, Reference, State, Task

MODEL = "bytedance/uso"
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_NUMBERS = ("seed", "num_steps", "guidance", "keep_size", "content_long_size")
_PATIENCE_S = 3600.0  # the client decides how long it waits

router = APIRouter(prefix="/v1", tags=["OpenAI"])


class OpenAI:
    """See the module."""

    name = "openai"

    def owns(self, path: str) -> bool:
        """See `Dialect`."""
        return path == "/v1" or path.startswith("/v1/")

    def router(self) -> APIRouter:
        """See `Dialect`."""
        return router

    def error(self, _request: Request, error: ApiError) -> Response:
        """See `Dialect`."""
        status = 400 if error.status == 422 else error.status
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        body = {"message": error.message, "type": kind, "param": None, "code": error.code}
        return JSONResponse({"error": body}, status, error.headers)

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """See `Dialect`; this API has no webhooks, so no task has one."""
        return {"id": task.id, "data": [{"url": url} for url in service.urls(task, base_url)]}


@router.get("/models")
async def models(_key: AsKey) -> dict[str, Any]:
    """Return the model of this server."""
    return {"object": "list", "data": [_model()]}


@router.get("/models/{model:path}")
async def model(model: str, _key: AsKey) -> dict[str, Any]:
    """Return the model."""
    _check_model(model)
    return _model()


@router.post("/images/generations")
async def generations(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Generate images from a prompt, and answer with them."""
    body = await json_object(request)
    return await _generated(request, body, [], key, service, base_url)


@router.post("/images/edits")
async def edits(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Generate images from a prompt and images, and answer with them."""
    async with request.form(max_files=1 + service.card.limits.max_styles) as form:
        images = await _images(form, service, key)
        body = {name: value for name, value in form.items() if isinstance(value, str)}
        return await _generated(request, body, images, key, service, base_url)


async def _generated(
    request: Request,
    body: Mapping[str, Any],
    images: Sequence[Reference],
    key: Key,
    service: Service,
    base_url: str,
) -> dict[str, Any]:
    _check_model(body.get("model"))
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise ApiError(400, "prompt: give a text")
    if body.get("stream") in (True, "true"):
        raise ApiError(400, "stream: partial images are not made; leave it out")
    if len(images) > 1 + service.card.limits.max_styles:
        raise ApiError(400, f"image: at most {1 + service.card.limits.max_styles} images")
    drawing = Drawing(
        prompt=prompt,
        content=images[0] if images else None,
        styles=images[1:],
        parameters=service.parameters(_parameters(body)),
    )
    given = {name: value for name, value in body.items() if name in ("prompt", "n", "size")}
    new = NewTask(key_id=key.id, dialect=OpenAI.name, drawing=drawing, given=given)
    task = await service.accept(key, new, await idempotency_of(request))
    task = await service.wait(task, _PATIENCE_S)
    if task.state is not State.COMPLETED:
        raise ApiError(500, task.error or f"the task is {task.state.name.lower()}: {task.id}")
    as_urls = body.get("response_format") == "url"
    data = [
        {"url": service.url(output, task, base_url)}
        if as_urls
        else {"b64_json": await _base64(output.file_id, service)}
        for output in task.outputs
    ]
    return {"created": task.created_at // 1000, "data": data}


async def _base64(file_id: str, service: Service) -> str:
    data = await service.files.read(await service.files.get(file_id))
    return base64.b64encode(data).decode("ascii")


async def _images(form: FormData, service: Service, key: Key) -> list[Reference]:
    uploads = [*form.getlist("image"), *form.getlist("image[]")]
    if not uploads:
        raise ApiError(400, "image: send one image or more")
    if form.get("mask") is not None:
        raise ApiError(400, "mask: USO has no masks; leave it out")
    most = service.inputs.max_bytes
    references = []
    for upload in uploads:
        if not isinstance(upload, UploadFile):
            raise ApiError(400, "image: send a file")
        data = await upload.read(most + 1)
        if len(data) > most:
            raise ApiError(413, f"image: a file may have {most:,} bytes")
        name, kind = file_name(upload.filename), content_type(upload.content_type)
        await service.quota.check_upload(key, len(data))
        file = await service.files.put(key.id, name, kind, data)
        references.append(Reference(file_id=file.id))
    return references


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a request; in a form they are texts."""
    numbers = {name: _number(name, body.get(name)) for name in (*_NUMBERS, "n")}
    numbers["num_images"] = numbers.pop("n")
    size = body.get("size")
    if size not in (None, "auto"):
        width, _, height = str(size).partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise ApiError(400, f"size: {size!r} is not accepted; give WIDTHxHEIGHT, or auto")
        numbers |= {"width": int(width[:9]), "height": int(height[:9])}
    return numbers


def _number(name: str, value: Any) -> Any:  # noqa: ANN401 (any JSON value; checked later)
    if not isinstance(value, str):
        return value
    if name == "keep_size":
        return value == "true"
    try:
        return float(value) if name == "guidance" else int(value[:20])
    except ValueError as error:
        raise ApiError(400, f"{name}: {value[:40]!r} is not a number") from error


def _check_model(model: object) -> None:
    if model not in (None, MODEL):
        raise ApiError(404, f"there is no model {str(model)[:80]!r}; this server has {MODEL}")


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "uso-batch"}
