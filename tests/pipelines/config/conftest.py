"""A configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.config.yaml_files import MINIMAL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A YAML file with the required keys only."""
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path
