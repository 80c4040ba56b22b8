"""The wheel holds the three packages and the example configurations, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobs.example_configs import config_names, config_path

ROOT = Path(__file__).parent.parent
PACKAGES = ("uso_core", "pipelines", "jobs")
CONFIGS = {path.name: path.read_bytes() for path in (ROOT / "configs").glob("*.yaml")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy: a build leaves folders that the next one would include."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    for folder in (*PACKAGES, "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    ran = subprocess.run(
        [*command, out, source], cwd=out, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_its_top_level_names_are_the_three_packages(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir() if path.suffix != ".dist-info"}
    assert names == set(PACKAGES)


def test_it_holds_every_file_of_the_packages(unpacked: Path) -> None:
    for package in PACKAGES:
        listed = (path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file())
        files = {path for path in listed if "__pycache__" not in path.parts}
        assert {path for path in files if not (unpacked / path).exists()} == set()


def test_it_holds_the_configurations(unpacked: Path) -> None:
    folder = unpacked / "jobs" / "configs"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONFIGS


def test_they_are_found_where_the_wheel_is_installed(unpacked: Path, tmp_path: Path) -> None:
    code = "from jobs import example_configs as e; print(*map(e.config_path, e.config_names()))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {Path(path).name for path in ran.stdout.split()} == set(CONFIGS)
    assert {Path(path).parent for path in ran.stdout.split()} == {unpacked / "jobs" / "configs"}


def test_they_are_found_in_a_checkout() -> None:
    assert [f"{name}.yaml" for name in config_names()] == sorted(CONFIGS)
    assert config_path("demo") == ROOT / "configs" / "demo.yaml"


@pytest.mark.parametrize("name", ["nonsense", "demo.yaml", "../pyproject", ""])
def test_another_name_is_an_error_that_lists_the_names(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="cluster, demo, fp8"):
        config_path(name)
