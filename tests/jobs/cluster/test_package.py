from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobs.cluster.package import _DATA, PACKAGES, extras, pack, requirements
from pipelines.config.schema import RunConfig

ROOT = Path(__file__).parents[3]
CONFIGS = sorted(set((ROOT / "configs").glob("*.yaml")) - {ROOT / "configs/serve.yaml"})


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tracked(package: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", package],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def sources() -> set[str]:
    """Return the files of the three packages, without the demo model."""
    all_files = tracked("uso_core") | tracked("pipelines") | tracked("jobs")
    return {name for name in all_files if not name.startswith("uso_core/data/demo/")}


def test_the_demo_model_is_sent_to_those_who_use_it(tmp_path: Path) -> None:
    config = RunConfig.from_yaml(ROOT / "configs/demo.yaml")
    assert config.model.base == "demo"
    packed = set(contents(pack(config, tmp_path).path))
    weights = {name for name in tracked("uso_core") if name.startswith("uso_core/data/demo/")}
    assert len(weights) > 5
    assert weights <= packed


def test_the_package_contains_the_three_packages_and_the_configuration_only(tmp_path: Path) -> None:
    package = pack(RunConfig.from_yaml(CONFIGS[0]), tmp_path)
    names = set(contents(package.path))
    own = {f"uso_batch-{version('uso-batch')}.dist-info/METADATA", "run.yaml"}
    assert names == sources() | own
    assert package.num_files == len(names)
    assert package.num_bytes < 2_000_000


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the three packages, which is imported from now on."""
    root = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package)
    places = {package: root / package for package in PACKAGES}
    monkeypatch.setattr("jobs.cluster.package._root", places.__getitem__)
    return root


def test_files_that_no_wheel_holds_are_left_out(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("TOKEN = 'the-secret'")
    strays = [".env", "id_rsa", "notes.txt", "data.parquet", "run.yaml", "sub/key.pem", ".x/a.py"]
    for package in PACKAGES:
        for stray in strays:
            path = checkout / package / stray
            path.parent.mkdir(exist_ok=True)
            path.write_text("the-secret")
        (checkout / package / "linked.py").symlink_to(tmp_path / "secret.py")
        (checkout / package / "folder").symlink_to(tmp_path)
        (checkout / package / "py.typed").unlink()
        (checkout / package / "py.typed").symlink_to(tmp_path / "secret.py")
    (checkout / "jobs" / "same.py").symlink_to(checkout / "jobs" / "cli.py")
    packed = contents(pack(RunConfig.from_yaml(CONFIGS[0]), tmp_path).path)
    assert b"the-secret" not in b"".join(packed.values())
    expected = sources() - {f"{package}/py.typed" for package in PACKAGES}
    assert {name for name in packed if name.startswith(PACKAGES)} == expected | {"jobs/same.py"}


def test_an_installed_package_is_packed_as_its_wheel_lists_it(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ["jobs/__init__.py", "jobs/cli.py", "jobs/configs/demo.yaml", "uso_batch/x.py"]
    (checkout / "jobs/configs").mkdir()
    (checkout / "jobs/configs/demo.yaml").write_text("manifest: {}")
    (checkout / "jobs/stray.py").write_text("the-secret")
    info = checkout / "uso_batch-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: uso-batch\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    monkeypatch.syspath_prepend(str(checkout))
    packed = contents(pack(RunConfig.from_yaml(CONFIGS[0]), tmp_path).path)
    assert set(packed) == {*listed[:3], "run.yaml", "uso_batch-0.1.0.dist-info/METADATA"}


def test_a_checkout_is_packed_as_it_stands_whatever_its_last_install_listed(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "jobs/later.py").write_text("LATER = True")
    info = checkout / "uso_batch.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: uso-batch\nVersion: 0.1.0\n")
    (info / "SOURCES.txt").write_text("jobs/__init__.py\njobs/cli.py\n")
    monkeypatch.syspath_prepend(str(checkout))
    packed = contents(pack(RunConfig.from_yaml(CONFIGS[0]), tmp_path).path)
    assert {"jobs/later.py", "jobs/cluster/package.py", "pipelines/record.py"} <= set(packed)


def test_the_data_files_are_those_of_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.setuptools.package-data]")[2].partition("\n[")[0]
    lines = dict(line.split(" = ") for line in section.splitlines() if " = " in line)
    listed = {
        f"{package}/{pattern}" for package in PACKAGES for pattern in json.loads(lines[package])
    }
    assert {re.sub(r"data/\*.*", "data/*", pattern) for pattern in _DATA} == {
        pattern.replace("**", "*") for pattern in listed
    }


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_packed_configuration_is_the_one_that_was_read(path: Path, tmp_path: Path) -> None:
    config = RunConfig.from_yaml(path, ["stylize.actors=3", "defaults.prompt=ein Käfer, 100 %"])
    packed = tmp_path / "run.yaml"
    packed.write_bytes(contents(pack(config, tmp_path).path)["run.yaml"])
    assert RunConfig.from_yaml(packed) == config


def test_equal_content_makes_equal_bytes(tmp_path: Path) -> None:
    config = RunConfig.from_yaml(CONFIGS[0])
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert pack(config, first).path.read_bytes() == pack(config, second).path.read_bytes()


def test_neither_comments_nor_values_of_variables_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET", "the-value-of-the-secret")
    written = tmp_path / "mine.yaml"
    written.write_text(
        "# old key: the-value-of-the-comment\n"
        "manifest: {path: s3://bucket/m.parquet}\n"
        "output: {path: s3://bucket/out}\n"
        'storage: {s3: {secret: "${S3_SECRET}"}}\n'
    )
    packed = contents(pack(RunConfig.from_yaml(written), tmp_path).path)
    everything = b"\n".join(packed.values())
    assert b"${S3_SECRET}" in packed["run.yaml"]
    assert b"the-value-of-the-secret" not in everything
    assert b"the-value-of-the-comment" not in everything


def test_the_unpacked_package_runs(tmp_path: Path) -> None:
    package = pack(RunConfig.from_yaml(CONFIGS[0]), tmp_path)
    there = tmp_path / "there"
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(there)
    code = "import jobs.cli, uso_core, pipelines; print(jobs.cli.__file__); jobs.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=there,
        env={"PYTHONPATH": str(there)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, said = done.stdout.splitlines()
    assert Path(where) == there / "jobs" / "cli.py"
    assert said == f"uso-batch {version('uso-batch')}"


def run_of(manifest: str, output: str, preset: str = "exact") -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": manifest}, "output": {"path": output}, "model": {"preset": preset}}
    )


def names(config: RunConfig) -> set[str]:
    """Return the names of the requirements that pip would install."""
    return {Requirement(line).name for line in requirements(config)}


def test_requirements_leave_out_ray_and_development_tools() -> None:
    found = names(run_of("/data/m.parquet", "/data/out"))
    assert {"torch", "diffusers", "pyarrow"} <= found
    assert {"ray", "s3fs", "gcsfs", "adlfs", "pytest"} & found == set()


def test_requirements_of_object_stores() -> None:
    found = names(run_of("s3://bucket/m.parquet", "abfs://container/out"))
    assert {"s3fs", "adlfs"} <= found
    assert "gcsfs" not in found


def test_stores_and_the_preset_need_their_extras() -> None:
    assert extras(run_of("/data/m.parquet", "/data/out")) == set()
    assert extras(run_of("gs://bucket/m.parquet", "az://container/out")) == {"gcs", "azure"}
    assert extras(run_of("m.parquet", "out", "fp8")) == {"fp8"}
    assert extras(run_of("m.parquet", "out", "low_vram")) == set()


def test_a_safety_check_needs_its_extra_unless_it_is_a_users_own() -> None:
    run = run_of("m.parquet", "out")
    for mode, checker, wanted in (
        ("withhold", "open_nsfw", {"safety"}),
        ("flag", "mine:load", set()),
        ("off", "open_nsfw", set()),
    ):
        safety = run.safety.model_copy(update={"mode": mode, "checker": checker})
        assert extras(run.model_copy(update={"safety": safety})) == wanted


def test_every_key_that_may_name_a_store_counts_for_the_extras() -> None:
    config = RunConfig.model_validate(
        {
            "manifest": {"path": "m.parquet", "base_uri": "gs://bucket/photos"},
            "output": {"path": "out"},
            "model": {"loras": [{"path": "s3://bucket/my.safetensors"}]},
            "storage": {"az": {"account_name": "mine"}},
        }
    )
    assert extras(config) == {"gcs", "s3", "azure"}
