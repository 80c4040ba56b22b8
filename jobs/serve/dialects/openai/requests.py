"""Requests of OpenAI's images API: fields of JSON or of a form, and images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from jobs.serve.dialects.base import json_object, prompt_of
from jobs.serve.dialects.forms import content_type, file_name, multipart_form
from jobs.serve.errors import ApiError, wrong
from jobs.serve.service import Service
from jobs.serve.store.keys import Key
from jobs.serve.task import Drawing, Reference

MODEL = "bytedance/uso"

_NUMBERS: Mapping[str, str] = {
    "seed": "seed",
    "num_steps": "num_steps",
    "num_inference_steps": "num_steps",
    "guidance": "guidance",
    "guidance_scale": "guidance",
    "keep_size": "keep_size",
    "content_long_size": "content_long_size",
    "n": "num_images",
}
"""Names of numbers, and the parameter of each; other servers have some under diffusers' names."""
_NAMES = {"width": "size", "height": "size", "num_images": "n"}
_SIZE = re.compile(r"(?P<width>\d{1,9})x(?P<height>\d{1,9})")
_MOST_FILES = 17
"""OpenAI's own limit, and a mask; more than the model takes, so that the answer can say so."""


async def fields_and_images(
    request: Request, service: Service, key: Key, base_url: str
) -> tuple[dict[str, Any], list[Reference]]:
    """Return the fields of an edit, and its images in order; from a form, or from JSON.

    Raises:
        ApiError: there is no image, there are too many, or one cannot be an image of a request.
    """
    if request.headers.get("content-type", "").startswith("application/json"):
        body = await json_object(request, with_images=True)
        images = await _images_of_json(body, service, key, base_url)
    else:
        async with multipart_form(request, _MOST_FILES) as form:
            body = {name: value for name, value in form.items() if isinstance(value, str)}
            images = await _images_of_form(form, service, key)
    return body, images


def drawing_of(body: Mapping[str, Any], images: Sequence[Reference], service: Service) -> Drawing:
    """Return the drawing that a request describes.

    Raises:
        ApiError: a field is wrong, or asks for something that this model does not do.
    """
    check_model(body.get("model"))
    if body.get("prompt") is None:
        raise wrong("prompt", "give a text; an empty one keeps the content's layout")
    if body.get("stream") in (True, "true", "True"):
        raise wrong("stream", "partial images are not made; leave it out")
    if body.get("background") == "transparent":
        raise wrong("background", "images are opaque; leave it out")
    if body.get("response_format") not in (None, "", "b64_json", "url"):
        raise wrong("response_format", "give b64_json or url")
    return Drawing(
        prompt=prompt_of(body["prompt"], "prompt"),
        content=images[0] if images else None,
        styles=images[1:],
        parameters=service.parameters(_parameters(body), names=_NAMES),
    )


def check_model(model: object) -> None:
    """Raise `ApiError` unless a request names the model of this server, or none."""
    if model not in (None, "", MODEL):
        message = f"there is no model {str(model)[:80]!r}; this server has {MODEL}"
        raise ApiError(404, message, code="model_not_found", field="model")


async def _images_of_form(form: FormData, service: Service, key: Key) -> list[Reference]:
    uploads = [*form.getlist("image"), *form.getlist("image[]")]
    _check_number(len(uploads), service)
    if form.get("mask") is not None:
        raise wrong("mask", "USO has no masks; leave it out")
    most = service.inputs.max_bytes
    references = []
    for place, upload in enumerate(uploads):
        if not isinstance(upload, UploadFile):
            raise wrong("image", "send a file")
        data = await upload.read(most + 1)
        if len(data) > most:
            raise wrong("image", f"a file may have {most:,} bytes", status=413)
        name, kind = file_name(upload.filename), content_type(upload.content_type)
        async with service.quota.storing(key, len(data)):
            file = await service.files.put(key.id, name, kind, data)
        references.append(Reference(file_id=file.id, field=f"image[{place}]"))
    return references


async def _images_of_json(
    body: Mapping[str, Any], service: Service, key: Key, base_url: str
) -> list[Reference]:
    given = body.get("images") or []
    if not isinstance(given, list):
        raise wrong("images", "give a list of objects with image_url")
    _check_number(len(given), service)
    if body.get("mask") is not None:
        raise wrong("mask", "USO has no masks; leave it out")
    urls = [each.get("image_url") if isinstance(each, dict) else each for each in given]
    return [
        await service.inputs.reference(url, f"images[{place}].image_url", key.id, base_url)
        for place, url in enumerate(urls)
    ]


def _check_number(count: int, service: Service) -> None:
    most = 1 + service.card.limits.max_styles
    if not 1 <= count <= most:
        reason = f"{count} are given; send 1 to {most}: the content image, then styles"
        raise wrong("image", reason)


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a request; in a form they are texts."""
    numbers = {
        parameter: _number(name, body[name])
        for name, parameter in _NUMBERS.items()
        if body.get(name) is not None
    }
    size = body.get("size")
    if size not in (None, "", "auto"):
        match = _SIZE.fullmatch(str(size))
        if match is None:
            raise wrong("size", f"{str(size)[:40]!r} is not accepted; give WIDTHxHEIGHT, or auto")
        numbers |= {"width": int(match["width"]), "height": int(match["height"])}
    return numbers


def _number(name: str, value: Any) -> Any:  # noqa: ANN401 (any JSON value; checked later)
    if not isinstance(value, str):
        return value
    if name == "keep_size":
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return float(value) if name.startswith("guidance") else int(value[:20])
    except ValueError as error:
        raise wrong(name, f"{value[:40]!r} is not a number") from error
