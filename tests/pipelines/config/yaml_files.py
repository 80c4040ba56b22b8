"""Configurations as YAML text, and the problems that reading one reports."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError

MINIMAL = "manifest: {path: m.parquet}\noutput: {path: out}\n"


def problems(path: Path, text: str = MINIMAL, *overrides: str) -> list[str]:
    """Write `text` to `path`, read it, and return the line about each key that is not accepted."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml(path, overrides)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    first, *others = str(caught.value).split("\n")
    assert first.startswith((f"{path}:", "--set"))
    return [line.strip() for line in others] or [first.removeprefix(f"{path}: ")]
