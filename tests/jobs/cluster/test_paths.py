from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cluster.paths import local_paths, with_absolute_paths
from pipelines.config.schema import RunConfig


def config(**sections: object) -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}, **sections}
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_local_path_is_found(folder: Path) -> None:
    (folder / "weights").mkdir()
    found = local_paths(
        config(
            manifest={
                "path": ["a.parquet", "s3://bucket/b.parquet"],
                "base_uri": "photos",
                "ids": "starred.csv",
            },
            model={
                "base": "weights",
                "uso": "/models/USO",
                "siglip": "google/siglip",
                "loras": [{"path": "/models/ink.safetensors"}],
            },
            fetch={"local_roots": ["~/photos"]},
        )
    )
    assert {path.key: path.path for path in found} == {
        "manifest.path": "a.parquet",
        "manifest.base_uri": "photos",
        "manifest.ids": "starred.csv",
        "output.path": "out",
        "model.base": "weights",
        "model.uso": "/models/USO",
        "model.loras": "/models/ink.safetensors",
        "fetch.local_roots": "~/photos",
    }
    assert {path.key for path in found if path.relative} == {
        "manifest.path",
        "manifest.base_uri",
        "manifest.ids",
        "output.path",
        "model.base",
    }


def test_urls_and_hub_ids_are_not_paths() -> None:
    assert local_paths(config(manifest={"path": "s3://b/m"}, output={"path": "gs://b/out"})) == []


def test_the_tiny_model_is_not_a_path() -> None:
    assert with_absolute_paths(config(model={"base": "tiny:3"})).model.base == "tiny:3"


def test_paths_become_absolute_and_nothing_else_changes(folder: Path) -> None:
    before = config(manifest={"path": "m/*.parquet"}, output={"path": "file:///data/out"})
    after = with_absolute_paths(before)
    assert after.manifest.path == f"{folder}/m/*.parquet"
    assert after.output.path == "/data/out"
    again = after.model_copy(update={"manifest": before.manifest, "output": before.output})
    assert again == before


def test_a_list_of_manifests_stays_a_list(folder: Path) -> None:
    after = with_absolute_paths(config(manifest={"path": ["a.parquet", "hf://datasets/x"]}))
    assert after.manifest.path == [f"{folder}/a.parquet", "hf://datasets/x"]
