"""The scores of generated images."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator


def _by_name(value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    """Return a name, or a list of names, as a mapping; a name without options has no value."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        for name in value:
            if "," in name:
                raise ValueError(f"{name!r} is not a name; for several, give a list: [{name}]")
            if value.count(name) > 1:
                raise ValueError(f"{name} is given twice; leave one out")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if options is None else options for name, options in value.items()}
    return value


ScoresConfig: TypeAlias = Annotated[dict[str, dict[str, Any]], BeforeValidator(_by_name)]
"""The options of each score, by its name; `pipelines.worker.scores` knows the names."""
