"""All that a worker is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.config.output import OutputConfig
from pipelines.config.variables import resolve_secrets
from pipelines.storage.urls import is_uri
from uso_core.loading.source import ModelSource

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig


@dataclass(frozen=True, kw_only=True)
class StylizerSpec:
    """All that a worker is built from; picklable.

    Attributes:
        model: with its device settled. Local paths, here and below, are absolute: a worker may
            start in another folder.
        fetch: how references are fetched.
        output: where images go, and in which format.
        storage: fsspec options by protocol, secrets resolved; a pickle of this holds them.
        torch_threads: for the parts of the model that run on the CPU.
        batch_images: most images that are drawn together.
    """

    model: ModelConfig
    fetch: FetchConfig
    output: OutputConfig
    storage: Mapping[str, Mapping[str, Any]] = field(repr=False)
    torch_threads: int = 1
    batch_images: int = 1

    @classmethod
    def from_config(cls, config: RunConfig) -> StylizerSpec:
        """What the workers of a run need; resolves secrets in this process's environment.

        Raises:
            ValueError: an environment variable that the storage options name is not set.
        """
        model, fetch, output = config.model, config.fetch, config.output
        here: dict[str, object] = {
            name: _absolute(getattr(model, name)) for name in ModelSource.WEIGHTS
        }
        here["loras"] = [
            lora.model_copy(update={"path": _absolute(lora.path)}) for lora in model.loras
        ]
        if model.device == "auto":  # a GPU that PyTorch does not find is an error of the worker
            here["device"] = "cuda" if config.stylize.gpus_per_actor else "cpu"
        roots = [str(Path(root).expanduser().resolve()) for root in fetch.local_roots]
        return cls(
            model=model.model_copy(update=here),
            fetch=fetch.model_copy(update={"local_roots": roots}),
            output=output.model_copy(update={"path": _absolute(output.path, may_be_new=True)}),
            storage=resolve_secrets(config.storage),
            torch_threads=max(1, int(config.stylize.cpus_per_actor)),
            batch_images=config.stylize.batch_images,
        )


def _absolute(location: str, *, may_be_new: bool = False) -> str:
    """A local path as an absolute one; URLs, and what is no path (Hub ids), as they are."""
    path = Path(location).expanduser()
    return (
        str(path.absolute()) if path.exists() or (may_be_new and not is_uri(location)) else location
    )
