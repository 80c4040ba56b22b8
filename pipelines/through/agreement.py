"""The values of a configuration that must be the same in a run and in the server that it uses.

An actor holds one model, one fetch policy and one set of stores. Whatever decides about an image or
about what may be read has to agree, so that a run gets the images that actors of its own would
generate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.config.key_paths import KeyPath, key_name
from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from pipelines.storage.urls import redact_uri
from pipelines.through.wire import ServerFacts
from pipelines.worker.spec import StylizerSpec, absolute_path
from uso_core.loading.source import ModelSource

_OF_THE_RUN = {"manifest", "output", "defaults", "on_error", "stylize", "ray", "logging", "notify"}
_OF_THE_RUN |= {"best_of", "on_end"}
_OF_A_MACHINE = {"model.cache_dir", "fetch.cache_mb", "fetch.concurrency"}
_MOST = 10


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return the values that must agree, by key, without secrets; paths are absolute.

    A value that may be a secret is replaced, so two different ones look alike.
    """
    spec = StylizerSpec.from_config(config)
    config = config.model_copy(
        update={
            "model": config.model.model_copy(
                update={
                    name: absolute_path(getattr(config.model, name)) for name in ModelSource.WEIGHTS
                }
            ),
            "fetch": config.fetch.model_copy(update={"local_roots": spec.fetch.local_roots}),
        }
    )
    shown = redacted(config)
    found = {
        key_name(path): value
        for section in shown.keys() - _OF_THE_RUN
        for path, value in _values(shown[section], (section,))
    }
    found["stylize.batch_images"] = config.stylize.batch_images
    if spec.style_library is not None:
        found["manifest.style_library"] = redact_uri(spec.style_library)
    return {key: value for key, value in found.items() if key not in _OF_A_MACHINE}


def check_agreement(config: RunConfig, facts: ServerFacts, url: str) -> None:
    """Check that a server generates what a run asks for.

    Raises:
        ConfigError: values differ; the message names each key with both values.
    """
    here, there = settings_of(config), facts.settings
    problems = [
        f"{key}: {_shown(here, key)} here, {_shown(there, key)} at the server"
        for key in sorted(here.keys() | there.keys())
        if here.get(key) != there.get(key)
    ]
    if problems:
        more = [f"and {len(problems) - _MOST} more"] if len(problems) > _MOST else []
        advice = "set these keys to the values of the server, or run without --through"
        raise ConfigError.of(
            f"--through {url}: the server has another configuration; {advice}",
            [*problems[:_MOST], *more],
        )


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not set"


def _values(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:  # noqa: ANN401 (JSON)
    """Yield the values inside sections; a list is one value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _values(inner, (*path, key))
    else:
        yield path, value
