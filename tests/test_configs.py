"""Every configuration in `configs/` is valid and has comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.serve.config import load_serve_config
from pipelines.config.schema import RunConfig

FOLDER = Path(__file__).parent.parent / "configs"
SERVER = FOLDER / "serve.yaml"
CONFIGS = sorted(set(FOLDER.glob("*.yaml")) - {SERVER})


def test_the_documented_configurations_exist() -> None:
    assert {path.stem for path in CONFIGS} >= {"demo", "h200", "fp8", "low_vram", "s3", "cluster"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid_and_commented(path: Path) -> None:
    config = RunConfig.from_yaml(path)
    assert config.manifest.path
    assert config.output.path
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum("#" in line for line in lines) >= 10


def test_the_server_s_configuration_needs_neither_gpu_nor_download() -> None:
    config = load_serve_config(SERVER)
    assert (config.model.base, config.stylize.gpus_per_actor) == ("demo", 0)
    assert config.serve.host == "127.0.0.1"
    assert SERVER.read_text(encoding="utf-8").count("CHANGE") == 2


def test_the_demo_needs_neither_gpu_nor_download() -> None:
    config = RunConfig.from_yaml(CONFIGS[0].with_name("demo.yaml"))
    assert config.model.base == "demo"
    assert config.model.device == "cpu"
    assert config.stylize.gpus_per_actor == 0
    assert config.on_error.max_failed_fraction == 0.25
