"""Scores and the user's columns, as the page filters by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.image_values import record_column
from pipelines.ledger.ledger import Ledger
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.report.own_columns import score_names, scores_of, value_text
from tests.pipelines.tools.report.outputs import boot, data_file, failed, reported, rows_of
from tests.pipelines.tools.report.test_report import HOSTILE

STRUCT = pa.struct([("palette", pa.float64()), ("edges", pa.float64())])


def report_of(folder: Path, columns: list[pa.Field], rows: list[dict[str, Any]]) -> Storage:
    """Write a report on rows with these columns."""
    run, out = Storage.at(str(folder / "run")), Storage.at(str(folder / "report"))
    records = [failed(f"row-{n:03d}", **row) for n, row in enumerate(rows)]
    for record in records:
        del record["note"], record["score"]
    Ledger.open(run, record_schema(pa.schema(columns))).append(records)
    reported(run, out, thumbnails=0)
    return out


def test_scores_are_numbers_of_the_row(tmp_path: Path) -> None:
    images = [{"palette": 0.5, "edges": None}, {"palette": 0.25, "edges": float("nan")}]
    rows: list[dict[str, Any]] = [{"scores": images}, {"scores": None}, {"scores": [None]}]
    out = report_of(tmp_path, [record_column(pa.field("scores", STRUCT))], rows)
    numbers = boot(out)["numbers"]
    assert [(one["name"], one["kind"], one["min"]) for one in numbers] == [
        ("palette", "score", 0.375)
    ]
    assert data_file(out, "numbers-0")[0] == 0.375
    assert [row["scores"] for row in rows_of(out)] == [{"palette": 0.375}, {}, {}]
    assert [row["own"] for row in rows_of(out)] == [{}, {}, {}]


def test_a_column_of_ones_own_may_have_the_name_of_the_scores(tmp_path: Path) -> None:
    out = report_of(tmp_path, [pa.field("scores", pa.string())], [{"scores": "good"}])
    assert rows_of(out)[0]["own"] == {"scores": "good"}
    assert [pick["name"] for pick in data_file(out, "facets")["picks"]] == ["scores"]
    assert score_names(pa.schema([("scores", STRUCT)])) == ["palette", "edges"]
    assert score_names(pa.schema([("scores", pa.struct([("a", pa.string())]))])) == []
    assert scores_of({"palette": 1.0}) == {"palette": 1.0}
    assert scores_of(None) == {}


def test_columns_with_few_values_are_picked_from_and_others_are_searched(tmp_path: Path) -> None:
    columns = [
        pa.field("album", pa.string()),
        pa.field("approved", pa.bool_()),
        pa.field("caption", pa.string()),
        pa.field("empty", pa.string()),
    ]
    rows = [
        {
            "album": ("b", "a", None)[n % 3],
            "approved": n % 2 == 0,
            "caption": f"Take {n}",
            "empty": None,
        }
        for n in range(60)
    ]
    out = report_of(tmp_path, columns, rows)
    album, approved = data_file(out, "facets")["picks"]
    assert album["values"] == [{"text": "a", "rows": 20}, {"text": "b", "rows": 20}]
    assert album["none"] == 20
    assert data_file(out, "of-pick-0")[:4] == [2, 1, 0, 2]
    assert [one["text"] for one in approved["values"]] == ["false", "true"]
    assert boot(out)["texts"] == ["caption"]
    assert data_file(out, "own-0-0")["of"][59] == "Take 59"


def test_a_score_and_a_column_of_the_same_name_differ_on_the_page(tmp_path: Path) -> None:
    columns = [record_column(pa.field("scores", STRUCT)), pa.field("edges", pa.float64())]
    out = report_of(tmp_path, columns, [{"scores": [{"edges": 1.0}], "edges": 2.0}])
    assert [one["name"] for one in boot(out)["numbers"]] == ["edges", "edges (2)"]


def test_hostile_names_and_values_stay_text(tmp_path: Path) -> None:
    score = pa.struct([(HOSTILE, pa.float64())])
    columns = [
        record_column(pa.field("scores", score)),
        pa.field(HOSTILE + "n", pa.float64()),
        pa.field(HOSTILE + "p", pa.string()),
        pa.field(HOSTILE + "t", pa.string()),
    ]
    rows = [
        {
            "scores": [{HOSTILE: 0.5}],
            HOSTILE + "n": 1.0,
            HOSTILE + "p": HOSTILE,
            HOSTILE + "t": f"{HOSTILE}{n}",
        }
        for n in range(50)
    ]
    out = report_of(tmp_path, columns, rows)
    page = out.read("index.html").decode()
    assert "<img" not in page
    assert "<b>" not in page
    assert "55433" not in page
    for path in out.list("data"):
        assert not set("<>&\x1b") & set(out.read(path).decode("ascii")), path
    (pick,) = data_file(out, "facets")["picks"]
    for text in (pick["name"], pick["values"][0]["text"], *boot(out)["texts"]):
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert len(boot(out)["numbers"]) == 2


def test_ids_are_exported_as_they_are(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    odd = 'a "quoted",\r\nid\u202e'
    record = failed(odd)
    del record["note"], record["score"]
    Ledger.open(run, record_schema(pa.schema([]))).append([record])
    reported(run, out, thumbnails=0)
    (row,) = rows_of(out)
    assert (row["key"], data_file(out, "ids-0")) == (odd, {"of": {"all": odd}})
    assert "\u202e" not in row["id"]


def test_values_of_any_type_have_a_text() -> None:
    assert [value_text(one) for one in (None, True, 1.5, "x" * 300)] == [
        None,
        "true",
        "1.5",
        "x" * 200 + "…",
    ]
