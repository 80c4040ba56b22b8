"""USO over whole datasets: a manifest goes in, images and one record per row come out.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config import RunConfig
    from pipelines.config_error import ConfigError
    from pipelines.manifest_error import ManifestError
    from pipelines.run import run

__all__ = ["ConfigError", "ManifestError", "RunConfig", "run"]

_MODULE_OF = {
    "ConfigError": "config_error",
    "ManifestError": "manifest_error",
    "RunConfig": "config",
    "run": "run",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute of any type
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    # Importing the module `run` has just bound its name here; the function is what is meant.
    globals()[name] = value
    return value
