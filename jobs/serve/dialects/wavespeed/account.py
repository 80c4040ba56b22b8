"""Models, balance and the secret of webhooks, as far as clients ask."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from jobs.serve.dialects.base import AsKey, WithService
from jobs.serve.dialects.wavespeed.view import MODEL, success
from uso_core.request import Limits

router = APIRouter(tags=["WaveSpeed"])


@router.get("/models")
async def models(_key: AsKey, service: WithService) -> dict[str, Any]:
    """Return the model of this server."""
    model = {
        "id": MODEL,
        "model_id": MODEL,
        "name": MODEL,
        "description": "USO: images from a prompt and reference images",
        "type": "image-to-image",
        "base_price": 0,
        "api_schema": {"type": "object", "properties": _properties(service.card.limits)},
    }
    return success([model])


@router.get("/balance")
@router.get("/account/balance", include_in_schema=False)
async def balance(_key: AsKey) -> dict[str, Any]:
    """Return 0: nothing is billed."""
    return success({"balance": 0})


@router.get("/webhook/secret")
async def webhook_secret(key: AsKey, service: WithService) -> dict[str, Any]:
    """Return the secret that signs the webhooks of the key."""
    return success({"secret": service.links.webhook_secret(key.id)})


def _properties(limits: Limits) -> dict[str, Any]:
    return {
        "prompt": {"type": "string"},
        "reference_images": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": limits.max_styles,
        },
        "seed": {"type": "integer", "minimum": -1, "maximum": 2**31 - 1},
        "size": {"type": "string", "description": "WIDTH*HEIGHT"},
        "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": limits.max_steps},
        "guidance_scale": {
            "type": "number",
            "minimum": limits.min_guidance,
            "maximum": limits.max_guidance,
        },
        "num_images": {"type": "integer", "minimum": 1, "maximum": limits.max_images},
        "enable_sync_mode": {"type": "boolean"},
        "enable_base64_output": {"type": "boolean"},
    }
