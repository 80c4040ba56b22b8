from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ComposeError
from pipelines.tools.compose.score_table import ScoreTable
from tests.pipelines.manifests import write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", "id,score,note\n007,3,a\n8,2.5,b\n9,,c\n"),
        (
            "s.jsonl",
            '{"id": "007", "score": 3}\n{"id": 8, "score": 2.5}\n{"id": 9, "score": null}\n',
        ),
    ],
)
def test_scores_of_text_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    scores = ScoreTable(str(path), "score", {}).of(["8", "007", "9", "7"]).tolist()
    assert scores[:2] == [2.5, 3.0]
    assert all(map(math.isnan, scores[2:]))


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.decimal128(5, 2)])
def test_every_type_of_number_is_a_score(tmp_path: Path, kind: pa.DataType) -> None:
    numbers = pa.array([4, 3, 9], pa.int8()).cast(kind)
    path = write(tmp_path / "s.parquet", pa.table({"id": [1, 2, 1], "score": numbers}))
    assert ScoreTable(str(path), "score", {}).of(["1", "2"]).tolist() == [9.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,clip\na,1\n", "no column 'score'; its columns are id, clip"),
        ("name,score\na,1\n", "no column 'id'; its columns are name, score"),
        ("id,score\na,1\nb,good\n", "row b: its 'score' is 'good', which is not a number"),
        ("id,score\n,1\n", "a row has no usable id"),
        ("id,score\na\n", "line 2: has 1 cells"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(ComposeError, match=message):
        ScoreTable(str(path), "score", {})


def test_a_column_of_text_is_not_a_score(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", {"id": ["a"], "score": ["5"]})
    with pytest.raises(ComposeError, match="'score' is string, and a score is a number"):
        ScoreTable(str(path), "score", {})
