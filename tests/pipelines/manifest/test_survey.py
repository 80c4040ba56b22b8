"""A survey finds the same rows and problems as a pass that parses every row."""

from __future__ import annotations

import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.calibration.shapes import Shape
from pipelines.display import display_reference
from pipelines.manifest.manifest import Manifest
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from tests.pipelines.manifests import CARD, config, opened, write

TEXT = pa.string()
LISTS = pa.list_(TEXT)
Cells = tuple[pa.DataType, tuple[Any, ...]]
URIS = ("s3://b/a.png", "https://h/a.png?X-Amz-Signature=1", "HTTP://h/a", "x:y/z://w", "data:x")
PATHS = ("a.png", "./a.png", "../b/./a.png", "/abs/a.png", "~/a.png", "a?b.png", "", "file:a")
ODD = (
    *("a\0b", "image/png;base64,AA", "iVBORw0KGgo" + "A" * 80, "d/" * 40 + "a.png", "A" * 64),
    *("/" + "a" * 5000, "a." + "b" * 5000, "größe.png", " [", '["a.png", "b.png"]', "[oops"),
)
REFERENCES = (*URIS, *PATHS, *ODD, None, None)
IDS = ("a", "b", "c", "a~2", "b~3", "ü", "", "x" * 256, "x" * 257, "0" * 32, f"{'0' * 32}-2", None)
PROMPTS = ("", "a cat", "größe", "p" * 100_000, "p" * 100_001, None)
NUMBERS = (-1, 0, 1, 2, 8, 9, 25, 50, 51, 512, 520, 1024, 1536, 1552, 2**31 - 1, 2**31, None)
REALS = (*NUMBERS[:-1], 0.5, 1.5, 4.0, float("nan"), float("inf"), 2.0**60, None)
WEIGHTS = ((), (1.0,), (1.0, 1.0), (0.5,), (2.0, 0.0), (2.5,), (float("nan"),), (None,), None)


def column_of(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, TEXT).dictionary_encode()
    if pa.types.is_binary(kind):
        return pa.array([v.encode() if isinstance(v, str) else v for v in values], kind)
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return pa.array([None if v is None else list(v) for v in values], kind)
    return pa.array(values, kind)


NUMBER_CELLS: list[Cells] = [
    (pa.int64(), NUMBERS),
    (pa.float64(), REALS),
    (pa.float32(), (1.0, 2.5, 512.0, None)),
    (TEXT, ("1", "512", "25.0", "x", None)),
    (pa.bool_(), (True, False, None)),
]
REFERENCE_CELLS: list[Cells] = [
    (TEXT, REFERENCES),
    (TEXT, (*URIS[:3], *PATHS)),
    (pa.large_string(), REFERENCES),
    (pa.dictionary(pa.int32(), TEXT), REFERENCES),
    (pa.binary(), REFERENCES),
]
STYLE_LISTS = ((), ("a.png",), ("a.png", "./a.png"), ("",), (None,), ("s3://b/a",) * 5, None)
COLUMNS: dict[str, list[Cells]] = {
    "id": [
        (TEXT, IDS),
        (TEXT, tuple(f"row-{n}" for n in range(99))),
        (pa.int64(), (1, 2, 3, -4, None)),
        (pa.float64(), (1.0, 2.5, 2.0**53, None)),
        (pa.binary(), IDS),
    ],
    "prompt": [(TEXT, PROMPTS), (pa.binary(), ("a", None)), (pa.null(), (None,))],
    "content_image": REFERENCE_CELLS,
    "style_image": REFERENCE_CELLS,
    "extra_style_image": REFERENCE_CELLS,
    "style_images": [(LISTS, STYLE_LISTS), (LISTS, STYLE_LISTS), (TEXT, REFERENCES)],
    "style_weights": [
        (pa.list_(pa.float64()), WEIGHTS),
        (pa.list_(pa.float64()), ((), (1.0,), (0.5,), (1.0, 0.5), None)),
        (TEXT, ("1", "[1]", None)),
    ],
    **dict.fromkeys(("width", "height", "num_steps", "guidance", "seed"), NUMBER_CELLS),
    **dict.fromkeys(("content_long_size", "num_images"), NUMBER_CELLS),
    "keep_size": [(pa.bool_(), (True, False, None)), (pa.int8(), (0, 1, 2, None))],
}
DEFAULTS: dict[str, Any] = {
    "prompt": "usual",
    "content_image": "./usual.png",
    "style_images": ["u1.png", "u2.png"],
    "width": 1024,
    "num_steps": 8,
    "seed": 2**31 - 2,
    "keep_size": True,
    "content_long_size": 0,
    "num_images": 2,
}


@st.composite
def manifests(draw: st.DrawFn) -> tuple[list[pa.Table], dict[str, Any]]:
    """Draw tables with odd and usual columns, of any types, and the defaults of a run."""
    names = draw(st.lists(st.sampled_from(list(COLUMNS)), unique=True, max_size=8))
    dice = Random(draw(st.integers(0, 2**32)))
    tables = [table_of(names, rows, dice) for rows in draw(st.sampled_from([[9], [5], [7, 4]]))]
    given = draw(st.lists(st.sampled_from(list(DEFAULTS)), unique=True, max_size=3))
    return tables, {name: DEFAULTS[name] for name in given}


def table_of(names: list[str], rows: int, dice: Random) -> pa.Table:
    columns = {}
    for name in dict.fromkeys(["prompt", *names]):
        kind, values = dice.choice(COLUMNS[name])
        few = values if dice.random() < 0.5 else dice.sample(values, min(3, len(values)))
        columns[name] = column_of(kind, dice.choices(few, k=rows))
    return pa.table(columns)


Facts = tuple[list[Any], Counter[Shape], set[str], set[str], set[str], int]


def parsed(manifest: Manifest) -> Facts:
    return facts([entry for batch in manifest.batches() for entry in batch.entries])


def facts(entries: list[ManifestEntry]) -> Facts:
    rows = [entry.row for entry in entries if isinstance(entry.row, ManifestRow)]
    return (
        [entry.row for entry in entries if isinstance(entry.row, RejectedRow)],
        Counter(Shape.of(row, CARD.limits) for row in rows),
        {display_reference(row.content_image) for row in rows if row.content_image},
        {display_reference(style) for row in rows for style in row.style_images},
        {row.prompt for row in rows},
        len(rows),
    )


def surveyed(manifest: Manifest) -> tuple[Facts, int]:
    """Return the same facts from a survey, and the number of ordinary rows."""
    batches = list(manifest.survey())
    found = facts([entry for batch in batches for entry in batch.entries])
    rejected, shapes, contents, styles, prompts, count = found
    ordinary = [batch.ordinary for batch in batches if batch.ordinary is not None]
    for rows in ordinary:
        for row, same in rows.kinds():
            shapes[Shape.of(row, CARD.limits)] += same
        contents |= {display_reference(it) for it in rows.contents.drop_null().to_pylist()}
        styles |= {display_reference(it) for it in rows.styles.to_pylist()}
        prompts |= set(rows.prompts.to_pylist())
        assert len(rows.styles) == rows.style_counts.sum()
    taken = sum(map(len, ordinary))
    return (rejected, shapes, contents, styles, prompts, count + taken), taken


@settings(max_examples=150, deadline=None)
@given(manifests())
def test_a_survey_finds_what_the_parser_finds(
    drawn: tuple[list[pa.Table], dict[str, Any]],
) -> None:
    tables, defaults = drawn
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            pq.write_table(table, Path(folder) / f"{number}.parquet", row_group_size=5)
        run = config(folder, defaults=defaults)
        found, _ = surveyed(Manifest.open(run, CARD))
        assert found == parsed(Manifest.open(run, CARD))


def test_usual_rows_are_ordinary(tmp_path: Path) -> None:
    count = 100
    columns: dict[str, Any] = {
        "id": [f"row-{n}" for n in range(count)],
        "prompt": ["größe"] * count,
        "content_image": ["photos/a.png"] * count,
        "style_images": [["s3://b/c.png", "d.png"]] * count,
        "style_weights": [[0.5, 1.0]] * count,
        "width": [512.0] * count,
        "guidance": [3] * count,
        "seed": [None, -1] * (count // 2),
        "mine": range(count),
    }
    manifest = opened(write(tmp_path / "m.parquet", columns))
    found, ordinary = surveyed(manifest)
    assert ordinary == count
    assert found == parsed(manifest)
    assert found[2] == {f"{tmp_path}/photos/a.png"}


def test_a_repeated_id_costs_no_other_row_the_fast_way(tmp_path: Path) -> None:
    ids: list[str | None] = [f"row-{n}" for n in range(100)]
    ids[40], ids[70], ids[80] = ids[3], "0" * 33, None
    manifest = opened(write(tmp_path / "m.parquet", {"id": ids, "prompt": ["a"] * 100}))
    found, ordinary = surveyed(manifest)
    assert ordinary == 97
    assert found == parsed(manifest)
    assert [row.id for row in found[0]] == ["row-3~2"]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "a~2", "a"], ["a~3"]),
        (["a", "a", "a~2"], ["a~3"]),
        ([None, "0" * 32, "a"], []),
    ],
)
def test_ids_that_a_run_may_make_for_other_rows(
    tmp_path: Path, ids: list[str | None], expected: list[str]
) -> None:
    manifest = opened(write(tmp_path / "m.parquet", {"id": ids, "prompt": ["a"] * 3}))
    found, ordinary = surveyed(manifest)
    assert ordinary == 0
    assert found == parsed(manifest)
    assert [row.id for row in found[0]] == expected


@pytest.mark.parametrize(
    ("first", "second", "repeated"),
    [
        (pa.array([1, 2]), pa.array([2.0, None]), "2~2"),  # pandas: a column with a missing id
        (pa.array([2.0, None]), pa.array([1, 2]), "2~2"),
        (pa.array(["a", "b"]), pa.array([b"b", b"c"]), "b~2"),
        (pa.array([1, 2]), pa.array([Decimal("2.0"), Decimal(5)]), "2~2"),
        (pa.array(["a", "b"]), pa.array(['"b"', "1"], pa.json_()), "b~2"),
    ],
    ids=lambda it: str(it.type) if isinstance(it, pa.Array) else it,
)
def test_an_id_that_another_file_has_in_another_type(
    tmp_path: Path, first: pa.Array, second: pa.Array, repeated: str
) -> None:
    for name, ids in (("a", first), ("b", second)):
        write(tmp_path / f"{name}.parquet", {"id": ids, "prompt": ["a", "b"]})
    manifest = opened(tmp_path)
    found, _ = surveyed(manifest)
    assert found == parsed(manifest)
    assert [row.id for row in found[0]] == [repeated]


@pytest.mark.parametrize("ids", [[float(2**53), 1.5], [b"\xff", b""]], ids=str)
def test_odd_ids_of_another_file_cost_no_row_the_fast_way(tmp_path: Path, ids: list[Any]) -> None:
    write(tmp_path / "a.parquet", {"id": ["a", "b"], "prompt": ["a", "b"]})
    write(tmp_path / "b.parquet", {"id": ids, "prompt": ["a", "b"]})
    manifest = opened(tmp_path)
    found, ordinary = surveyed(manifest)
    assert ordinary == 2
    assert found == parsed(manifest)
    assert len(found[0]) == 2


def test_a_wrong_weight_that_changes_no_id(tmp_path: Path) -> None:
    manifest = opened(
        write(tmp_path / "m.parquet", {"prompt": ["a", "a"], "style_weights": [None, [1.0]]})
    )
    found, _ = surveyed(manifest)
    assert found == parsed(manifest)
    assert [row.id.partition("-")[2] for row in found[0]] == ["2"]


def test_a_wish_that_is_no_word_is_told_of(tmp_path: Path) -> None:
    columns = {"id": ["a", "b"], "prompt": ["p", "p"], "wish": ["allowed", "perhaps"]}
    signed = {"c2pa": True, "certificate": "c.pem", "key": "k.pem"}
    provenance = {**signed, "training_mining_column": "wish"}
    output = {"path": str(tmp_path / "out"), "provenance": provenance}
    manifest = opened(write(tmp_path / "m.parquet", columns), output=output)
    found, _ = surveyed(manifest)
    assert found == parsed(manifest)
    assert [row.id for row in found[0]] == ["b"]


def test_texts_that_are_not_utf8_are_told_of(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"\xff\xfe"])
    broken = pa.Array.from_buffers(TEXT, 2, raw.buffers())
    manifest = opened(write(tmp_path / "m.parquet", {"id": ["a", "b"], "prompt": broken}))
    found, ordinary = surveyed(manifest)
    assert ordinary == 0
    assert [row.id for row in found[0]] == ["b"]
    assert found == parsed(manifest)


@pytest.mark.parametrize("section", [{"shard": "0/2"}, {"limit": 7}])
def test_a_part_of_a_manifest(tmp_path: Path, section: dict[str, Any]) -> None:
    ids = [f"row-{n}" for n in range(20)]
    path = write(tmp_path / "m.parquet", {"id": ids, "width": [512, 7] * 10, "prompt": ids})
    manifest = opened(path, manifest=section)
    found, _ = surveyed(manifest)
    assert found == parsed(manifest)
