"""The Python code of the README and of docs/python.md runs as it stands, on a tiny model."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import ray
from PIL import Image

import pipelines
import uso_core
from uso_core import USOPipeline

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
CONFIG = """
manifest: {path: rows.csv}
output: {path: out/run}
model: {base: tiny}
stylize: {gpus_per_actor: 0}
"""


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("cat.jpg", "painting.jpg"):
        Image.new("RGB", (64, 48), "teal").save(tmp_path / name)
    (tmp_path / "rows.csv").write_text("id,prompt\n1,a cat\n", encoding="utf-8")
    (tmp_path / "run.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    tiny = USOPipeline.tiny()
    monkeypatch.setattr(USOPipeline, "from_pretrained", lambda *_, **__: tiny)
    return tmp_path


def test_the_code_that_generates(files: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(PAGE)[:3]:
        exec(block, names)
    assert names["result"].images.shape[3] == 3
    assert sorted(path.name for path in files.glob("*.png")) == ["cat-0.png", "cat-snow.png"]


def test_the_code_of_the_readme(files: Path) -> None:
    (code,) = (
        block for block in blocks((ROOT / "README.md").read_text()) if "USOPipeline" in block
    )
    exec(code, {})
    assert (files / "cat-snow.png").exists()


@pytest.mark.ray
@pytest.mark.timeout(180)
def test_the_code_that_runs_a_manifest(files: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(PAGE)[3:-1]:
        exec(block, names)
    assert names["summary"].skipped == 1  # the last call resumes the output of the first
    assert len(list((files / "out/run/images").rglob("*.png"))) == 1


@pytest.mark.ray
@pytest.mark.timeout(180)
def test_the_code_of_ray_data(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    try:
        exec(blocks(PAGE)[-1], {})
    finally:
        ray.shutdown()
    assert re.search(r"^1 \d{3,}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("package", [uso_core, pipelines])
def test_every_public_name_is_there(package: Any) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    assert re.match(r"\d+\.\d+", package.__version__)


def test_every_field_is_on_the_page() -> None:
    fields = uso_core.StylizeRequest.__dataclass_fields__
    assert [name for name in fields if f"`{name}`" not in PAGE] == []
