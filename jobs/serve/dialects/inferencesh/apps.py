"""Apps and sessions: this server has one app, and keeps no sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import AsKey, WithService
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.listing import page
from jobs.serve.dialects.inferencesh.view import NAME, NAMESPACE, VERSION_ID
from jobs.serve.errors import ApiError, unknown
from uso_core.request import Limits

router = APIRouter(tags=["inference.sh"])

_IMAGE = {
    "type": "string",
    "format": "file",
    "description": "An http(s) URL, a data: URI or an upload.",
}


@router.post("/apps/list")
async def list_apps(request: Request, _key: AsKey, service: WithService) -> Response:
    """Return the app of this server."""
    return success(request, page([app_view(service.card.limits)], "", 20))


@router.get("/apps/{namespace}/{name}")
async def get_app(
    namespace: str, name: str, request: Request, _key: AsKey, service: WithService
) -> Response:
    """Return the app, with the schemas of its input and output."""
    base, _, version = name.partition("@")
    if (namespace, base) != (NAMESPACE, NAME) or version not in ("", "latest", VERSION_ID):
        raise unknown(f"app: this server has {NAMESPACE}/{NAME}")
    return success(request, app_view(service.card.limits))


@router.post("/apps/{namespace}/{name}/versions/list")
async def list_versions(
    namespace: str, name: str, request: Request, _key: AsKey, service: WithService
) -> Response:
    """Return the only version of the app."""
    if (namespace, name) != (NAMESPACE, NAME):
        raise unknown(f"app: this server has {NAMESPACE}/{NAME}")
    return success(request, page([app_view(service.card.limits)["version"]], "", 20))


@router.get("/apps/{namespace}/{name}/versions/{version}", include_in_schema=False)
async def get_version(
    namespace: str,
    name: str,
    version: str,
    request: Request,
    key: AsKey,
    service: WithService,
) -> Response:
    """Return the app in a version."""
    return await get_app(namespace, f"{name}@{version}", request, key, service)


@router.get("/sessions")
async def list_sessions(request: Request, _key: AsKey) -> Response:
    """Return no session: a task needs none, because every actor holds the model all the time."""
    return success(request, [])


@router.get("/sessions/{session_id}")
@router.post("/sessions/{session_id}/keepalive")
async def get_session(session_id: str, _key: AsKey) -> Response:
    """Answer that a session does not exist."""
    raise ApiError(404, f"there is no session {session_id}", code="SESSION_NOT_FOUND")


@router.delete("/sessions/{session_id}", status_code=204)
async def delete_session(session_id: str, _key: AsKey) -> None:
    """End a session, of which nothing is kept."""


def app_view(limits: Limits) -> dict[str, Any]:
    """Return the app with its schemas."""
    input_schema, output_schema = _input_schema(limits), _output_schema()
    function = {"input_schema": input_schema, "output_schema": output_schema}
    return {
        "id": f"{NAMESPACE}/{NAME}",
        "namespace": NAMESPACE,
        "name": NAME,
        "version_id": VERSION_ID,
        "version": {
            "id": VERSION_ID,
            **function,
            "functions": {"run": {"name": "run", **function}},
            "default_function": "run",
        },
    }


def _input_schema(limits: Limits) -> dict[str, Any]:
    size = {"minimum": limits.min_size, "maximum": limits.max_size, "multipleOf": limits.size_step}
    return {
        "type": "object",
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string"},
            "content_image": _IMAGE,
            "style_image": _IMAGE,
            "extra_style_image": _IMAGE,
            "style_images": {"type": "array", "items": _IMAGE, "maxItems": limits.max_styles},
            "width": {"type": "integer", **size},
            "height": {"type": "integer", **size},
            "num_steps": {"type": "integer", "minimum": 1, "maximum": limits.max_steps},
            "guidance": {
                "type": "number",
                "minimum": limits.min_guidance,
                "maximum": limits.max_guidance,
            },
            "seed": {"type": "integer", "minimum": -1, "maximum": 2**31 - 1, "default": -1},
            "keep_size": {"type": "boolean", "default": limits.default_keep_size},
            "content_long_size": {
                "type": "integer",
                "minimum": 0,
                "maximum": limits.max_content_long_size,
            },
            "num_images": {
                "type": "integer",
                "minimum": 1,
                "maximum": limits.max_images,
                "default": 1,
            },
        },
    }


def _output_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "generated_image": {"type": "object", "format": "file"},
            "has_nsfw_contents": {"type": "array", "items": {"type": "boolean"}},
        },
    }
