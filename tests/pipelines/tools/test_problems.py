from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError
from pipelines.tools.problems import PROBLEM_SCHEMA, Findings, Problem, findings


def test_problems_are_counted_by_kind_and_column() -> None:
    found = Findings()
    for n in range(5):
        found.add(Problem("uri_not_found", "content_image", f"row-{n}", n + 1, f"gone {n}"))
    found.add(Problem("duplicate_image", "style_images", "row-9", 1, "twice", severity="note"))
    kind = found.kinds["error", "uri_not_found", "content_image"]
    assert (kind.problems, kind.rows) == (5, 15)
    assert kind.examples == ["row-0", "row-1", "row-2"]
    assert kind.message == "gone 0"
    assert found.errors == 5  # a note costs nothing


def test_every_problem_is_written(tmp_path: Path) -> None:
    with findings(f"{tmp_path}/p.parquet", {}) as found:
        for n in range(5000):
            found.add(Problem("uri_not_found", None, str(n), 1, "gone", uri="u"))
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.schema == PROBLEM_SCHEMA
    assert table["row_id"].to_pylist() == [str(n) for n in range(5000)]


def test_an_interrupted_check_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with findings(f"{tmp_path}/p.parquet", {}) as found:
            found.add(Problem("uri_not_found", None, "1", 1, "gone"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_only_problems_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    path.touch()
    for row_id in "ab":
        with findings(str(path), {}) as found:
            found.add(Problem("uri_not_found", None, row_id, 1, "gone"))
    assert pq.read_table(path)["row_id"].to_pylist() == ["b"]


@pytest.mark.parametrize("kind", ["manifest", "text", "folder"])
def test_another_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.parquet"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("id\n1\n")
    else:
        pq.write_table(pa.table({"id": ["a"], "prompt": ["p"]}), path)
    before = None if kind == "folder" else path.read_bytes()
    message = r"m\.parquet: exists and holds no problems; choose another name"
    with pytest.raises(ConfigError, match=message), findings(str(path), {}):
        pytest.fail("the check began")
    assert path.is_dir() if before is None else path.read_bytes() == before
