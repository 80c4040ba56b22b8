from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from pipelines.keys.index import row_key
from pipelines.manifest.source_digest import SourceDigests, id_keys
from tests.pipelines.manifests import CARD, config

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def digests(columns: dict[str, Any], folder: str = "/data/") -> list[int]:
    """Return the digests of rows in columns with our names."""
    batch = pa.record_batch({name: pa.array(column) for name, column in columns.items()})
    found = SourceDigests(config("m.parquet"), CARD, {name: name for name in columns})
    return [int(digest) for digest in found.of_batch(batch, folder)]


def test_digests_do_not_change_between_versions() -> None:
    """If this changes, a resumed run parses every recorded row again."""
    columns = {"id": ["a"], "prompt": ["p"], "style_images": [["s.png"]], "seed": [5]}
    assert digests(columns) == [-2631544598423792765]


def test_rows_of_any_cells_are_told_apart() -> None:
    styles = pa.array([None, [], [None], [""], ["a", "b"], ["ab"], ["1:a"], ["a", None], [":"]])
    texts = pa.array([None, "", ":", "0:", "1:a", "a", "ab", "b", "a\\0", "a\\0b"])
    rows = [(style, text, other) for style in styles for text in texts for other in texts]
    style_images, prompt, content_image = zip(*rows, strict=True)
    found = digests(
        {
            "prompt": pa.array([p.as_py() for p in prompt], pa.string()),
            "content_image": pa.array([c.as_py() for c in content_image], pa.string()),
            "style_images": pa.array([s.as_py() for s in style_images], styles.type),
        }
    )
    assert len(set(found)) == len(rows)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None, b"", b"a", b"b", b"ab"], pa.binary()),
        pa.array([None, b"", b"a", b"b", b"ab"], pa.large_binary()),
        pa.array([None, "", "a", "A", "é", "e\u0301"], pa.large_string()),
        pa.array([None, 0, 1, -1, 2**63 - 1, -(2**63)], pa.int64()),
        pa.array([None, 0, 2**64 - 1], pa.uint64()),
        pa.array([None, 0.0, -1.5, 1e-300, float("inf"), float("nan")], pa.float64()),
        pa.array([None, 0.1, 0.2, 1e-40], pa.float32()),
        pa.array([None, True, False]),
        pa.array(
            [None, [], [None], [[]], [["a"], []], [[], ["a"]]], pa.list_(pa.list_(pa.string()))
        ),
        pa.array([None, [b"a"], [b"a", b"a"]], pa.large_list(pa.binary())),
        pa.array(
            [None, {}, {"bytes": b"a"}, {"path": "a"}, {"path": ""}, {"bytes": b"", "path": ""}],
            IMAGE,
        ),
    ],
    ids=lambda column: str(column.type),
)
def test_cells_of_any_type_are_told_apart(column: pa.Array) -> None:
    found = digests({"prompt": column})
    assert len(set(found)) == len(column)
    assert 0 not in found


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "b", "a"]),
        pa.array(["a", None, "b", "a"]).dictionary_encode(),
        pa.array([["a"], None, [], ["b", None]]),
        pa.array([{"bytes": b"x"}, None, {"path": "p"}, {}], IMAGE),
        pa.array([[{"path": "p"}], [None], None, []], pa.list_(IMAGE)),
    ],
    ids=lambda column: str(column.type),
)
def test_a_digest_does_not_depend_on_the_batch(column: pa.Array) -> None:
    whole = digests({"prompt": column})
    for start in range(len(column)):
        for end in range(start + 1, len(column) + 1):
            assert digests({"prompt": column.slice(start, end - start)}) == whole[start:end]


REALS = pa.list_(pa.float64())
STYLED = {"prompt": ["a", "b"], "style_images": [["s.png"], ["s.png", "t.png"]]}


@pytest.mark.parametrize(
    "ones",
    [
        pa.nulls(2),
        pa.array([[1.0], [1.0, 1.0]], REALS),
        pa.array([[1], None], pa.large_list(pa.int8())),
        pa.array([None, None], pa.string()),
    ],
    ids=lambda column: str(column.type),
)
def test_weights_of_one_leave_the_digest_unchanged(ones: pa.Array) -> None:
    assert digests({**STYLED, "style_weights": ones}) == digests(STYLED)


@pytest.mark.parametrize("weights", [[0.5], [1, 1], [], [None], [float("nan")]])
def test_other_weights_change_the_digest(weights: list[float | None]) -> None:
    columns = {"prompt": ["a"], "style_images": [["s.png"]]}
    weighted = digests({**columns, "style_weights": pa.array([weights], REALS)})
    assert weighted != digests(columns)
    assert weighted != [0]
    as_text = pa.array([str(weights)])
    assert digests({**columns, "style_weights": as_text}) not in (weighted, digests(columns))


def test_weights_of_an_unknown_type_give_no_digests() -> None:
    times = pa.array([[0]], pa.list_(pa.timestamp("s")))
    assert digests({"prompt": ["a"], "style_weights": times}) == [0]


def test_a_digest_of_weights_depends_on_their_limit() -> None:
    batch = pa.record_batch(
        {
            "style_image": ["s", "s"],
            "style_weights": pa.array([[0.5], None], REALS),
        }
    )
    names = {name: name for name in batch.schema.names}
    wider = replace(CARD, limits=replace(CARD.limits, max_style_weight=3.0))
    one, other = (SourceDigests(config("m"), card, names) for card in (CARD, wider))
    assert (one.of_batch(batch, "/") == other.of_batch(batch, "/")).tolist() == [False, True]


def test_a_digest_depends_on_the_folder_and_the_type() -> None:
    one = digests({"seed": pa.array([1], pa.int64())})
    assert digests({"seed": pa.array([1], pa.int64())}, "/elsewhere/") != one
    assert digests({"seed": pa.array(["1"])}) != one
    assert digests({"num_steps": pa.array([1], pa.int64())}) != one


@pytest.mark.parametrize(
    "other",
    [
        SourceDigests(config("m", defaults={"guidance": 2.0}), CARD, {"prompt": "p"}),
        SourceDigests(config("m", stylize={"seed": 9}), CARD, {"prompt": "p"}),
        SourceDigests(config("m", fetch={"exif_rotate": False}), CARD, {"prompt": "p"}),
        SourceDigests(config("m"), replace(CARD, fingerprint="f"), {"prompt": "p"}),
        SourceDigests(
            config("m"), replace(CARD, limits=replace(CARD.limits, max_styles=1)), {"prompt": "p"}
        ),
        SourceDigests(config("m"), CARD, {"content_image": "p"}),
    ],
    ids=["default", "seed", "exif", "model", "limits", "columns"],
)
def test_a_digest_depends_on_the_run(other: SourceDigests) -> None:
    batch = pa.record_batch({"p": ["x"]})
    one = SourceDigests(config("m"), CARD, {"prompt": "p"}).of_batch(batch, "/")
    again = SourceDigests(config("other"), CARD, {"prompt": "p"}).of_batch(batch, "/")
    assert one == again
    assert other.of_batch(batch, "/") != one


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": ["a"], "width": pa.array([512], pa.decimal128(10, 2))},
        {"prompt": pa.array([[1]], pa.list_(pa.timestamp("s")))},
        {"prompt": pa.array([{"a": 1}], pa.struct([("a", pa.date32())]))},
        {"prompt": pa.array([{}], pa.struct([]))},
    ],
    ids=["decimal", "list-of-times", "struct-with-a-date", "empty-struct"],
)
def test_an_unusual_type_gives_no_digests(columns: dict[str, Any]) -> None:
    assert digests(columns) == [0]


def test_a_file_without_input_columns_has_no_digests() -> None:
    found = SourceDigests(config("m"), CARD, {"prompt": "p"})
    assert found.of_batch(pa.record_batch({"other": ["x", "y"]}), "/").tolist() == [0, 0]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
def test_text_that_is_not_utf8_has_a_digest_and_a_key(kind: pa.DataType) -> None:
    column = pa.array([b"a", b"\xff"]).cast(pa.large_binary())
    broken = pa.array([b"a", b"\xff"]).view(pa.string())
    column = broken if kind == pa.string() else column.view(pa.large_string())
    assert len(set(digests({"id": column}))) == 2
    assert len(id_keys(column) or b"") == 32


def test_the_key_of_an_id_is_the_key_of_its_text() -> None:
    expected = row_key("7") + row_key("é")
    for ids in (pa.array(["7", "é"]), pa.array(["7", "é"]).dictionary_encode()):
        assert id_keys(ids) == expected
    assert id_keys(pa.array([7], pa.int32())) == row_key("7")
    assert id_keys(pa.array([7.0])) is None
