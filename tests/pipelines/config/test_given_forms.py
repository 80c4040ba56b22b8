"""A configuration may be a path of any type or a mapping; anything else is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import load_config
from pipelines.driver.run import run
from pipelines.errors import ConfigError

CONTENT: dict[str, Any] = {"manifest": {"path": "rows.csv"}, "output": {"path": "out"}}


def test_a_mapping_is_read_as_its_file_would_be(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("manifest: {path: rows.csv}\noutput: {path: out}\n", encoding="utf-8")
    assert load_config(CONTENT) == load_config(path) == load_config(str(path))


def test_paths_in_a_mapping_are_text() -> None:
    content = {**CONTENT, "output": {"path": Path("out")}, "manifest": {"path": Path("rows.csv")}}
    assert load_config(content) == load_config(CONTENT)


def test_a_mapping_takes_overrides_and_stays_as_it_was() -> None:
    assert load_config(CONTENT, ["output.path=other"]).output.path == "other"
    assert load_config(CONTENT, "output.path=other").output.path == "other"
    assert CONTENT["output"] == {"path": "out"}


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run.yaml").write_text("manifest: {path: a.csv}\noutput: {path: o}\n")
    assert load_config("~/run.yaml").output.path == "o"


def test_problems_in_a_mapping_name_their_keys() -> None:
    with pytest.raises(ConfigError, match=r"(?s)the configuration:.*output\.pth"):
        load_config({"manifest": {"path": "rows.csv"}, "output": {"pth": "out"}})


@pytest.mark.parametrize("given", [None, 3, ["run.yaml"], b"run.yaml"])
def test_anything_else_is_named(given: Any) -> None:
    for reader in (load_config, run):
        with pytest.raises(ConfigError, match="give the path of a YAML file or a mapping"):
            reader(given)


def test_run_names_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no-such\.yaml: cannot be read"):
        run("no-such.yaml")
