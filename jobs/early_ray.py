"""Ray of a run's own, started before the inputs are checked if the run will most likely need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.config.schema import RunConfig
from pipelines.storage.urls import is_uri
from uso_core.families import family_named
from uso_core.local_path import local_path

if TYPE_CHECKING:
    from pipelines.on_ray.early_ray import EarlyRay


def early_ray(config: RunConfig) -> EarlyRay | None:
    """Start a Ray of the run's own if the run will most likely need it; else return None.

    The driver then loads its libraries and checks its inputs while Ray gets ready.
    """
    if config.ray.address != "local" or not will_generate(config):
        return None
    # Imported here, because Ray takes a third of a second.
    from pipelines.on_ray.early_ray import EarlyRay  # noqa: PLC0415

    return EarlyRay(config.ray, config.stylize)


def will_generate(config: RunConfig) -> bool:
    """Return True if a run will most likely generate rows, from a look at this machine's disk.

    That is so if the manifest and the model are here, and the output has no records yet.
    """
    output, base, path = config.output.path, config.model.base, config.manifest.path
    return (
        not is_uri(output)
        and not (local_path(output) / "records").exists()
        and all(local_path(each).exists() for each in ([path] if isinstance(path, str) else path))
        and (family_named(base).owns_name(base) or local_path(base).exists())
    )
