"""The choices of `uso stylize`: the model, the workers, and the configuration of its run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.schema import RunConfig, load_config
from pipelines.errors import ConfigError
from uso_core.loading.source import ModelSource

if TYPE_CHECKING:
    from jobs.cli_stylize import Drawing, Naming

SMALL_MODEL = "demo"
"""The model that is used if no weights are found; it needs no download and no GPU."""

_SMALL = re.compile(r"(?:tiny(?::\d+)?|demo)")
_FOR_SMALL = {"num_steps": 4, "content_long_size": 128}  # they draw little, and fast
_FOLDER = "{folder:path}/"
_SIZE = re.compile(r"(\d+)(?:[xX](\d+))?")


_OPTIONS = {
    "defaults.width": "--size",
    "defaults.height": "--size",
    "defaults.num_steps": "--steps",
    "defaults.guidance": "--guidance",
    "defaults.seed": "--seed",
    "output.name": "--name",
    "model.base": "--model",
}
"""The option that a key of the configuration comes from."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice, and the reason for it in words.

    Attributes:
        config: sections of the configuration.
        why: the reason, for people.
    """

    config: dict[str, Any]
    why: str


def choose_model(given: Mapping[str, Any]) -> Choice:
    """Return the weights: the named ones, or downloaded ones, or the small model.

    Args:
        given: the options of the model; `base` is None if it was not named.
    """
    named = {name: value for name, value in given.items() if value is not None}
    if "base" in named:
        return Choice({"model": named}, "as named by --model")
    flux = ModelSource(base="black-forest-labs/FLUX.1-dev")
    missing = [repo for repo in (flux.base, flux.uso, flux.siglip) if not _is_downloaded(repo)]
    if not missing:
        return Choice({"model": {**named, "base": flux.base}}, "found among the Hub's downloads")
    why = (
        f"NOT the real USO: {missing[0]} was not downloaded to this machine, so the small model "
        "stands in; see docs/weights.md, then give --model"
    )
    return Choice({"model": {**named, "base": SMALL_MODEL}}, why)


def choose_workers(model: Mapping[str, Any], workers: int | None) -> Choice:
    """Return the workers: one for each GPU, by Ray; without a GPU, this process alone.

    A small model, and one that is to run on the CPU, count as without a GPU: Ray's start and a
    second process would take longer than many of their images.

    Args:
        model: the section `model` of the configuration.
        workers: the number that was asked for; None: not given.
    """
    on_cpu = model.get("device") == "cpu" or is_small(model)
    gpus = 0 if on_cpu else _count_gpus()
    why = "the model is small" if is_small(model) else "there is no GPU"
    if model.get("device") == "cpu":
        why = "--device cpu"
    if workers is None and gpus:
        return Choice(_actors(gpus, 1, 1), f"one for each of {gpus} GPUs, by Ray")
    if workers:
        shared = min(1.0, gpus / workers)
        cpus = 1 if gpus else max(1, _count_cpus() // workers)
        return Choice(_actors(workers, shared, cpus), f"{workers} processes, by Ray (--workers)")
    # On a busy machine, threads of a small model wait for each other longer than they compute.
    threads = 1 if is_small(model) else _count_cpus()
    alone = {"gpus_per_actor": min(1, gpus), "cpus_per_actor": threads}
    reason = f"this process, without Ray: {'--workers 0' if workers == 0 else why}"
    return Choice({"stylize": alone, "ray": {"address": "none"}}, reason)


def is_small(model: Mapping[str, Any]) -> bool:
    """Return True if a model of the configuration is small enough for any CPU."""
    return _SMALL.fullmatch(model["base"]) is not None


def defaults_of(drawing: Drawing, *, small: bool) -> dict[str, Any]:
    """Return the section `defaults` of the configuration.

    Raises:
        ConfigError: the size is not one.
    """
    width, height = _size(drawing.size)
    given = {
        "seed": drawing.seed,
        "num_steps": drawing.steps,
        "guidance": drawing.guidance,
        "width": width,
        "height": height,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return {**(_FOR_SMALL if small else {}), **chosen}


def name_template(naming: Naming, *, styles: bool, prompts: int) -> str:
    """Return the template of the images' names."""
    if naming.name is not None:
        return naming.name
    folder = "" if naming.flat else _FOLDER
    style = "__{style_stem}" if styles else ""
    prompt = "__{prompt:.40}" if prompts > 1 or not styles else ""
    return f"{folder}{{content_stem}}{style}{prompt}"


def by_option(message: str) -> str:
    """Return the message of an error with the option in place of a key at its beginning."""
    key, colon, rest = message.removeprefix("uso stylize: ").partition(": ")
    return f"{_OPTIONS[key]}{colon}{rest}" if key in _OPTIONS else message


def checked(sections: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of the run.

    Raises:
        ConfigError: an option has a value that is not accepted.
    """
    try:
        return load_config(sections)
    except ConfigError as error:
        message = str(error).replace("the configuration:", "uso stylize:", 1)
        raise ConfigError(message) from error


def _size(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--size {text}: give WIDTHxHEIGHT or one number, in pixels")
    return int(found[1]), int(found[2] or found[1])


def _actors(count: int, gpus: float, cpus: int) -> dict[str, Any]:
    return {"stylize": {"actors": count, "gpus_per_actor": gpus, "cpus_per_actor": cpus}}


def _count_gpus() -> int:
    import torch  # noqa: PLC0415 (it loads for seconds; the other choices do without)

    return torch.cuda.device_count()


def _count_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_downloaded(repo: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415 (read when it is needed)
    from huggingface_hub.file_download import repo_folder_name  # noqa: PLC0415

    folder = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model") / "snapshots"
    return any(folder.glob("*/*"))
