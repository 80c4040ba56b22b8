"""Numbers in CSV files are numbers in the records; ids and other inputs stay what they were."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.schema import RunConfig
from pipelines.errors import LedgerError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Records
from pipelines.manifest import csv_blocks, csv_numbers
from pipelines.manifest.row_identity import content_hash
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.compose import table as table_module
from pipelines.tools.compose.low_scores import low_scores
from pipelines.tools.compose.score_table import ScoreTable
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config, entries, opened, valid, write
from tests.pipelines.records import completed
from uso_core.errors import UsoError

TEXT, INTEGER, NUMBER = pa.string(), pa.int64(), pa.float64()


def put(path: Path, cells: list[str], *, delimiter: str = ",", name: str = "own") -> Path:
    rows = [f"prompt{delimiter}{name}", *(f"p{delimiter}{cell}" for cell in cells), ""]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def own(path: Any, **manifest: Any) -> tuple[pa.DataType, list[Any]]:
    found = opened(path, manifest=manifest)
    return found.extra_schema.field("own").type, [e.extra["own"] for e in found.entries()]


@pytest.mark.parametrize(
    ("cells", "kind", "read"),
    [
        (["1", "-2", "", "0"], INTEGER, [1, -2, None, 0]),
        (["9007199254740993", "1"], INTEGER, [9007199254740993, 1]),
        (["1", "0.5", ""], NUMBER, [1.0, 0.5, None]),
        (["1.10", " 2 ", "1e3", ".5"], NUMBER, [1.1, 2.0, 1000.0, 0.5]),
        (["0.30000000000000004"], NUMBER, [0.30000000000000004]),
        (["inf", "-Inf", "2"], NUMBER, [float("inf"), float("-inf"), 2.0]),
        (["007", "8"], TEXT, ["007", "8"]),
        (["1", "+49"], TEXT, ["1", "+49"]),
        (["9223372036854775808"], TEXT, ["9223372036854775808"]),
        (["9007199254740993", "0.5"], TEXT, ["9007199254740993", "0.5"]),
        (["0.1234567890123456789"], TEXT, ["0.1234567890123456789"]),
        (["1", "x"], TEXT, ["1", "x"]),
        (["nan"], TEXT, ["nan"]),
        (["", ""], TEXT, [None, None]),
        (["true", "false"], TEXT, ["true", "false"]),
        (["2026-01-02"], TEXT, ["2026-01-02"]),
        (['"1,5"', "2"], TEXT, ["1,5", "2"]),
        (['"1\n2"', "3"], TEXT, ["1\n2", "3"]),
        (["0x10"], TEXT, ["0x10"]),
    ],
)
def test_types_follow_from_all_cells(
    tmp_path: Path, cells: list[str], kind: pa.DataType, read: list[Any]
) -> None:
    assert own(put(tmp_path / "m.csv", cells)) == (kind, read)
    assert own(tmp_path / "m.csv", csv_numbers=False)[0] == TEXT


@pytest.mark.parametrize(
    ("cells", "kind", "read"),
    [
        (["0,5", "1", "-,25"], NUMBER, [0.5, 1.0, -0.25]),
        (["0.5", "1"], NUMBER, [0.5, 1.0]),
        (["0.5", "1,5"], TEXT, ["0.5", "1,5"]),
        (["1,2,3"], TEXT, ["1,2,3"]),
        (["0,5", "x"], TEXT, ["0,5", "x"]),
        (["007,5"], TEXT, ["007,5"]),
    ],
)
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas(
    tmp_path: Path, delimiter: str, cells: list[str], kind: pa.DataType, read: list[Any]
) -> None:
    assert own(put(tmp_path / "m.csv", cells, delimiter=delimiter)) == (kind, read)


def test_a_late_cell_decides_as_the_first_does(tmp_path: Path) -> None:
    for cells, kind in (
        (["1"] * 5_000 + ["x"], TEXT),
        (["x"] + ["1"] * 5_000, TEXT),
        (["1.5"] * 5_000 + ["07"], TEXT),
        (["1"] * 5_000 + ["1e30"], NUMBER),
    ):
        manifest = opened(put(tmp_path / "m.csv", cells))
        assert manifest.extra_schema.field("own").type == kind


def test_all_files_have_one_type(tmp_path: Path) -> None:
    one, half = put(tmp_path / "a.csv", ["1"]), put(tmp_path / "b.csv", ["0.5"])
    word = put(tmp_path / "c.csv", ["x"])
    comma = put(tmp_path / "d.csv", ["0,5"], delimiter=";")
    numbers = write(tmp_path / "n.parquet", {"prompt": ["p"], "own": [7]})
    texts = write(tmp_path / "t.parquet", {"prompt": ["p"], "own": ["7"]})
    for files, kind, read in (
        ([one, half], NUMBER, [1.0, 0.5]),
        ([one, half, word], TEXT, ["1", "0.5", "x"]),
        ([one, comma], NUMBER, [1.0, 0.5]),
        ([comma, word], TEXT, ["0,5", "x"]),
        ([half, numbers], NUMBER, [0.5, 7.0]),
        ([one, texts], TEXT, ["1", "7"]),
    ):
        assert own([str(file) for file in files]) == (kind, read)


def test_lines_that_are_not_rows_decide_nothing(tmp_path: Path) -> None:
    path = put(tmp_path / "m.csv", ["1", "x,y", "2"])
    assert own(path) == (INTEGER, [1, None, 2])


def test_inputs_stay_text_and_ids_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("prompt,guidance,n\n1,2.50,1\n007,3,2\n", encoding="utf-8")
    found = entries(path)
    assert [valid(entry).prompt for entry in found] == ["1", "007"]
    same = entries(path, manifest={"csv_numbers": False})
    assert [entry.row for entry in found] == [entry.row for entry in same]
    assert found[0].row.id == content_hash({"prompt": "1", "guidance": 2.5})


def test_decimal_commas_of_inputs(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("prompt;guidance;width\n3,5;3,5;512,0\n", encoding="utf-8")
    (entry,) = entries(path)
    row = valid(entry)
    assert (row.prompt, row.parameters.guidance, row.parameters.width) == ("3,5", 3.5, 512)


def made(path: Path, **manifest: Any) -> list[dict[str, Any]]:
    section = {"path": str(path), "base_uri": "/photos", **manifest}
    config = RunConfig.model_validate({"manifest": section, "output": {"path": "unused"}})
    return [row for batch in table_rows(config).batches for row in batch.to_pylist()]


def test_a_made_manifest_keeps_the_ids_of_numbers_as_written(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("content_image,n\na.png,0.50\na.png,0.5\n", encoding="utf-8")
    rows, as_text = made(path), made(path, csv_numbers=False)
    assert [row["n"] for row in rows] == [0.5, 0.5]
    assert [row["id"] for row in rows] == [row["id"] for row in as_text]
    assert rows[0]["id"] != rows[1]["id"]


def test_a_table_of_scores_may_have_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("id;score\n007;0,5\n8;\n", encoding="utf-8")
    scores = ScoreTable(str(path), "score", {})
    assert scores.of(["007", "8", "7"]).tolist()[:1] == [0.5]


def schema_of(tmp_path: Path, cells: list[str]) -> pa.Schema:
    manifest = opened(put(tmp_path / "m.csv", cells, name="note"))
    return record_schema(manifest.extra_schema)


def test_low_scores_of_a_csv_column_are_found(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"), {})
    ledger = Ledger.open(storage, schema_of(tmp_path, ["4.5", "6", ""]))
    ledger.append([completed("a", note=4.5), completed("b", note=6.0), completed("c", note=None)])
    found = low_scores(storage, "note", 5.0)
    assert (found.ids, found.scored, found.unscored) == (frozenset({"a"}), 2, 1)


def test_an_output_with_the_text_of_numbers_is_resumed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"), {})
    old = record_schema(pa.schema([("note", TEXT)]))
    Ledger.open(storage, old).append([completed("a", note="1.50")])
    for row_id, cells, value in (("b", ["2"], 2), ("c", ["0.5"], 0.5), ("d", ["x"], "x")):
        ledger = Ledger.open(storage, schema_of(tmp_path, cells))
        ledger.append([completed(row_id, note=value)])
    Ledger.open(storage, schema_of(tmp_path, ["2"])).compact()
    found = {
        row["id"]: row["note"] for batch in Records(storage).batches() for row in batch.to_pylist()
    }
    assert found == {"a": "1.50", "b": "2", "c": "0.5", "d": "x"}


def test_integers_and_later_fractions_are_numbers(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"), {})
    Ledger.open(storage, schema_of(tmp_path, ["2"])).append([completed("a", note=2)])
    Ledger.open(storage, schema_of(tmp_path, ["0.5"])).append([completed("b", note=0.5)])
    Ledger.open(storage, schema_of(tmp_path, ["2"])).compact()
    records = Records(storage)
    assert records.schema.field("note").type == NUMBER
    (batch,) = records.batches()
    assert sorted(batch["note"].to_pylist()) == [0.5, 2.0]
    with pytest.raises(LedgerError, match=r"'note' is double in .* and timestamp"):
        Ledger.open(storage, record_schema(pa.schema([("note", pa.timestamp("us"))])))


def test_integers_that_a_float_cannot_hold_are_reported(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"), {})
    large = 2**53 + 1
    Ledger.open(storage, schema_of(tmp_path, [str(large)])).append([completed("a", note=large)])
    Ledger.open(storage, schema_of(tmp_path, ["0.5"])).append([completed("b", note=0.5)])
    with pytest.raises(LedgerError, match=r"'note' has integers .* manifest\.csv_numbers: false"):
        list(Records(storage).batches())


CELLS = st.one_of(
    st.sampled_from(
        ("", "0", "7", "-3", "007", "+1", " 5 ", "1.5", ".5", "5.", "1e3", "-0", "-0.0")
    ),
    st.sampled_from(
        ("1,5", "nan", "Infinity", "9" * 19, "123456789.123456789", "1e-400", "a", '"')
    ),
    st.integers(-(2**63), 2**63).map(str),
    st.floats().map(repr),
)
TABLES = st.lists(
    st.one_of(
        st.lists(CELLS, min_size=2, max_size=2),
        st.lists(st.floats(allow_nan=False).map(repr), min_size=2, max_size=2),
        st.lists(CELLS, max_size=3),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.sampled_from(",;"), st.sampled_from((4, 1 << 20)))
def test_types_and_values_by_blocks_are_those_by_lines(
    rows: list[list[str]], delimiter: str, block: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "m.csv"
        lines = [["one", "two", "prompt"], *([*row, "a picture"] for row in rows)]
        path.write_text("\n".join(delimiter.join(cells) for cells in lines), encoding="utf-8")
        patch.setattr(csv_blocks, "_BLOCK", block)
        by_blocks = shown(path)
        patch.setattr(csv_numbers, "read_blocks", lambda _: iter(()))
        patch.setattr(table_module, "read_blocks", lambda _: iter(()))
        patch.setattr(table_module, "_numbers", numbers)
        assert by_blocks == shown(path)


def numbers(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    read: type = int if pa.types.is_integer(kind) else float
    return pa.array([None if text is None else read(text) for text in texts.to_pylist()], kind)


def shown(path: Path) -> str:
    """The types and values of the table, or the message of the error."""
    try:
        rows = table_rows(config(path))
        found = [row for batch in rows.batches for row in batch.to_pylist()]
    except UsoError as error:
        return str(error)
    return f"{rows.schema} {found}"
