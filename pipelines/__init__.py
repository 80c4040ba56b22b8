"""USO over whole datasets: a manifest goes in, images and one record per row come out.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig
    from pipelines.driver.run import run
    from pipelines.errors import ConfigError, ManifestError, RunError

    __version__: str

__all__ = ["ConfigError", "ManifestError", "RunConfig", "RunError", "run"]

_MODULE_OF = {
    "ConfigError": "errors",
    "ManifestError": "errors",
    "RunConfig": "config.schema",
    "RunError": "errors",
    "run": "driver.run",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute of any type
    if name == "__version__":
        return import_module("importlib.metadata").version("uso-batch")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
