"""Generate images for a whole manifest with USO: `run(load_config("run.yaml"))`.

The public API: all that `run` takes, returns and raises. Names are imported on first use, so that
importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig, load_config
    from pipelines.driver.run import run
    from pipelines.driver.summary import RunSummary
    from pipelines.errors import (
        BrokenOffError,
        ClusterError,
        ConfigError,
        LeaseHeldError,
        LeaseLostError,
        LedgerError,
        ManifestError,
        RowsChangedError,
        RunError,
        StorageError,
        TooManyFailuresError,
        WorkersFailedError,
    )
    from pipelines.telemetry.snapshot import Listener, Snapshot
    from pipelines.worker.map_batches import Stylize
    from uso_core.errors import CheckpointError, UsoError

    __version__: str

__all__ = [
    "BrokenOffError",
    "CheckpointError",
    "ClusterError",
    "ConfigError",
    "LeaseHeldError",
    "LeaseLostError",
    "LedgerError",
    "Listener",
    "ManifestError",
    "RowsChangedError",
    "RunConfig",
    "RunError",
    "RunSummary",
    "Snapshot",
    "StorageError",
    "Stylize",
    "TooManyFailuresError",
    "UsoError",
    "WorkersFailedError",
    "load_config",
    "run",
]

_MODULE_OF = {
    "CheckpointError": "uso_core.errors",
    "Listener": "pipelines.telemetry.snapshot",
    "RunConfig": "pipelines.config.schema",
    "RunSummary": "pipelines.driver.summary",
    "Snapshot": "pipelines.telemetry.snapshot",
    "Stylize": "pipelines.worker.map_batches",
    "UsoError": "uso_core.errors",
    "load_config": "pipelines.config.schema",
    "run": "pipelines.driver.run",
}
"""The modules of the names that are not in `pipelines.errors`."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module attribute of any type)
    if name == "__version__":
        return import_module("importlib.metadata").version("uso-batch")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF.get(name, "pipelines.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
