"""USO (arXiv 2508.18966) on diffusers: turns requests into images, without Ray and storage.

Public names are loaded on first use, so importing the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uso_core.errors import CheckpointError, InvalidRequestError, UsoError
    from uso_core.families import describe_model
    from uso_core.loading.source import ModelCard, ModelSource
    from uso_core.pipeline import USOPipeline
    from uso_core.request import (
        EncodedStyle,
        Limits,
        Parameters,
        StylizedImage,
        StylizedImages,
        StylizeRequest,
    )

    __version__: str

__all__ = [
    "CheckpointError",
    "EncodedStyle",
    "InvalidRequestError",
    "Limits",
    "ModelCard",
    "ModelSource",
    "Parameters",
    "StylizeRequest",
    "StylizedImage",
    "StylizedImages",
    "USOPipeline",
    "UsoError",
    "describe_model",
]

_MODULE_OF = {
    "CheckpointError": "errors",
    "InvalidRequestError": "errors",
    "UsoError": "errors",
    "EncodedStyle": "request",
    "Limits": "request",
    "Parameters": "request",
    "StylizeRequest": "request",
    "StylizedImage": "request",
    "StylizedImages": "request",
    "ModelCard": "loading.source",
    "ModelSource": "loading.source",
    "describe_model": "families",
    "USOPipeline": "pipeline",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute of any type
    if name == "__version__":
        return import_module("importlib.metadata").version("uso-batch")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
