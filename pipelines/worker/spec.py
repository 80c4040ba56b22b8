"""The specification from which a worker is built."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.config.output import OutputConfig
from pipelines.config.variables import resolve_secrets
from pipelines.formats import ImageEncoding
from pipelines.provenance.claim import ModelFacts
from pipelines.storage.urls import is_uri
from pipelines.worker.image_plugins import ChosenPlugin, chosen_plugins
from uso_core.loading.source import ModelSource
from uso_core.local_path import local_path

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig


@dataclass(frozen=True, kw_only=True)
class StylizerSpec:
    """Everything that a worker is built from; picklable.

    Local paths are absolute, because a worker may start in another folder.

    Attributes:
        model: weights and how to run them; `device` is not `auto` in a run.
        fetch: settings for fetching references, secrets resolved.
        encoding: format of the images.
        output: folder of the images; None for a worker that gets a sink.
        run_id: id of the run that holds the lease of that folder. Its driver has created the
            folder, so workers do not, and they store nothing once another driver has taken over.
            None: there is no lease.
        creates: True if the store of that folder has conditional writes; see `Storage.creates`.
        storage: fsspec options by protocol, secrets resolved; a pickle of the spec holds them.
        torch_threads: threads for the parts of the model that run on the CPU.
        batch_images: most images that are generated together.
        recipe_model: name of the model in the recipes that images hold; None: they hold none.
        style_library: folder or URL of the library of styles; None: rows name none.
        image_plugins: plug-ins that look at the images before they are stored, in order.
        model_facts: the model, for plug-ins that state it; None if none does.
        stores_withheld: True if the sink also takes the files of rows whose images a plug-in has
            rejected, as the plug-in has left them, e.g. blurred.
        alone: True if the worker and its plug-ins are all that runs in the process.
    """

    model: ModelConfig
    fetch: FetchConfig
    encoding: ImageEncoding = field(default_factory=ImageEncoding)
    output: OutputConfig | None = None
    run_id: str | None = None
    creates: bool = False
    storage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    torch_threads: int = 1
    batch_images: int = 1
    recipe_model: str | None = None
    style_library: str | None = None
    image_plugins: tuple[ChosenPlugin, ...] = ()
    model_facts: ModelFacts | None = None
    stores_withheld: bool = False
    alone: bool = False

    @classmethod
    def from_config(cls, config: RunConfig) -> StylizerSpec:
        """Return the specification of a run's workers.

        Secrets are resolved in this process's environment.

        Raises:
            ValueError: an environment variable that the storage options or `fetch.http` name is not
                set.
            ConfigError: a plug-in is not installed.
        """
        model, fetch, output = config.model, config.fetch, config.output
        here: dict[str, object] = {
            name: absolute_path(getattr(model, name)) for name in ModelSource.WEIGHTS
        }
        here["loras"] = [
            lora.model_copy(update={"path": absolute_path(lora.path)}) for lora in model.loras
        ]
        if model.device == "auto":  # a worker whose GPU PyTorch cannot find must say so
            here["device"] = "cuda" if config.stylize.gpus_per_actor else "cpu"
        roots = [str(local_path(root).resolve()) for root in fetch.local_roots]
        folder = absolute_path(output.path, may_be_new=True)
        library = config.manifest.style_library
        return cls(
            model=model.model_copy(update=here),
            fetch=fetch.model_copy(update={"local_roots": roots, "http": fetch.http.resolved()}),
            encoding=output.encoding,
            output=output.model_copy(update={"path": folder}),
            storage=resolve_secrets(config.storage),
            torch_threads=max(1, int(config.stylize.cpus_per_actor)),
            batch_images=config.stylize.batch_images,
            style_library=None if library is None else absolute_path(library, may_be_new=True),
            image_plugins=chosen_plugins(config),
        )


def absolute_path(location: str, *, may_be_new: bool = False) -> str:
    """Return a local path as an absolute path, and URLs and Hub ids unchanged.

    Args:
        location: a path, a URL or a Hub id.
        may_be_new: takes everything but a URL for a path; else only paths that exist.
    """
    path = local_path(location)
    is_path = os.path.exists(path) or (may_be_new and not is_uri(location))
    return str(path.absolute()) if is_path else location
