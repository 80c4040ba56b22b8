from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cluster.check import (
    check_manifest,
    passed_env,
    refuse_relative_paths,
    refuse_secrets,
    unset_on_cluster,
)
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError, ManifestError


def config(manifest: str, **sections: object) -> RunConfig:
    return RunConfig.model_validate(
        {
            "manifest": {"path": manifest},
            "output": {"path": "/data/out"},
            "model": {"base": "tiny"},
            **sections,
        }
    )


def test_a_secret_as_text_is_rejected_without_being_shown() -> None:
    with pytest.raises(ConfigError, match=r"^storage\.s3\.secret: .*--env NAME") as caught:
        refuse_secrets(config("/m.parquet", storage={"s3": {"secret": "hunter2"}}))
    assert "hunter2" not in str(caught.value)


def test_a_relative_path_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"^manifest\.path: 'wave/m\.parquet' is relative"):
        refuse_relative_paths(config("wave/m.parquet"))
    refuse_relative_paths(config("/wave/m.parquet"))


def test_variables_are_passed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "value")
    assert passed_env(["HF_TOKEN"]) == {"HF_TOKEN": "value"}
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigError, match=r"--env HF_TOKEN: .* not set here"):
        passed_env(["HF_TOKEN"])


def test_variables_that_the_cluster_must_set() -> None:
    wanted = config(
        "/m.parquet",
        storage={"s3": {"key": "${S3_KEY}", "secret": "${S3_SECRET}"}},
        ray={"env": {"HF_TOKEN": "${HF_TOKEN}"}},
    )
    assert unset_on_cluster(wanted, ["S3_SECRET"]) == ["HF_TOKEN", "S3_KEY"]


def test_a_readable_manifest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"prompt": ["a", "b", "c"]}), path)
    assert check_manifest(config(str(path)), on_this_machine=True) == f"{path}: 3 rows"


def test_a_manifest_without_a_usable_column_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"nothing": ["a"]}), path)
    with pytest.raises(ManifestError):
        check_manifest(config(str(path)), on_this_machine=True)


def test_a_manifest_without_files_is_rejected() -> None:
    none = RunConfig.model_validate(
        {"manifest": {"path": []}, "output": {"path": "/data/out"}, "model": {"base": "tiny"}}
    )
    with pytest.raises(ManifestError, match="the list is empty"):
        check_manifest(none, on_this_machine=False)


def test_a_missing_manifest_is_rejected_only_on_this_machine(tmp_path: Path) -> None:
    gone = config(str(tmp_path / "m.parquet"))
    with pytest.raises(ManifestError, match="does not exist"):
        check_manifest(gone, on_this_machine=True)
    assert "not on this machine" in check_manifest(gone, on_this_machine=False)


def test_secrets_that_only_the_cluster_has_prevent_the_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("S3_KEY", raising=False)
    found = check_manifest(
        config("s3://bucket/m.parquet", storage={"s3": {"key": "${S3_KEY}"}}),
        on_this_machine=False,
    )
    assert found.startswith("not checked from here: ")
    assert "S3_KEY" in found
