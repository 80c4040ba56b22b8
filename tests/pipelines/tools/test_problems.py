from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

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
