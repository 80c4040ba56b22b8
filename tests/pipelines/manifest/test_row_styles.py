"""Rows that name styles of a library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError, ManifestError, StyleError
from pipelines.reference_facts import LibraryStyle
from pipelines.rows import ManifestRow
from pipelines.styles.library import StyleLibrary
from tests.pipelines.manifests import config, entries, opened, rejected, valid, write
from tests.pipelines.styles.made import made_style

INK, OIL = (made_style(seed)[0].sha256 for seed in (1, 2))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    styles = StyleLibrary(str(tmp_path / "styles"), {})
    styles.write("ink", made_style(1)[1])
    styles.write("oil", made_style(2)[1])
    return tmp_path / "styles"


def row_of(cell: Any, library: Path, **columns: Any) -> Any:
    column = cell if isinstance(cell, pa.Array) else pa.array([cell])
    table = {"id": ["a"], "style": column, **{name: [value] for name, value in columns.items()}}
    path = write(library.parent / "m.parquet", table)
    return entries(path, manifest={"style_library": str(library)})[0]


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        ("ink", [("ink", 1.0)]),
        (["ink", "oil"], [("ink", 1.0), ("oil", 1.0)]),
        ({"style": "ink", "weight": 0.5}, [("ink", 0.5)]),
        ([{"style": "ink", "weight": None}, {"style": "oil", "weight": 0.7}],
         [("ink", 1.0), ("oil", 0.7)]),
        (json.dumps(["ink", {"style": "oil", "weight": 2}]), [("ink", 1.0), ("oil", 2.0)]),
        (json.dumps({"style": "oil"}), [("oil", 1.0)]),
        (None, []),
    ],
)  # fmt: skip
def test_a_cell_names_styles_in_every_form(
    library: Path, cell: Any, named: list[tuple[str, float]]
) -> None:
    row = valid(row_of(cell, library, prompt="a"))
    hashes = {"ink": INK, "oil": OIL}
    assert row.library_styles == tuple(
        LibraryStyle(name, hashes[name], weight, "CC0") for name, weight in named
    )


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("inc", "column style: 'inc' is not accepted; give a style of LIBRARY; near it is ink"),
        (" INK", "column style: ' INK' is not accepted; give a style of LIBRARY; near it is ink"),
        ("../ink", "column style: '../ink' is not accepted; give a style of LIBRARY"),
        (["ink"] * 5, "5 styles is not accepted; give at most 4 styles in all"),
        ({"style": "ink", "weight": 3.0}, "style[0].weight: 3.0 is not accepted; give 0 to 2"),
        ({"style": "ink", "wieght": 1.0}, "the name of a style, or a list"),
        ("[1]", "the name of a style, or a list"),
        ('[{"style": "ink", "weight": "x"}]', "a number"),
    ],
)
def test_a_wrong_cell_rejects_its_row(library: Path, cell: Any, said: str) -> None:
    message = rejected(row_of(cell, library)).failure.message
    assert said.replace("LIBRARY", str(library)) in message.replace("'5 styles'", "5 styles")


def test_a_style_of_another_model_is_refused_with_both(library: Path) -> None:
    data = made_style(model="other", model_fingerprint="feedfeedfeedfeed")[1]
    StyleLibrary(str(library), {}).write("far", data)
    message = rejected(row_of("far", library)).failure.message
    for words in ("made for base (fingerprint 0123abcd", "far.safetensors was made for other",
                  "feedfeedfeed…", "uso style add"):  # fmt: skip
        assert words in message


def test_a_damaged_style_rejects_the_rows_that_name_it_and_no_others(library: Path) -> None:
    (library / "cut.safetensors").write_bytes(made_style()[1][:200])
    path = write(library.parent / "m.parquet", {"id": ["a", "b"], "style": ["cut", "ink"]})
    damaged, whole = entries(path, manifest={"style_library": str(library)})
    message = rejected(damaged).failure.message
    assert "'cut' is not accepted" in message
    assert f"{library}/cut.safetensors: it was not made by `uso style add`" in message
    assert valid(whole).library_styles[0].name == "ink"


def test_a_library_without_styles_ends_the_run_instead_of_rejecting_its_rows(
    library: Path,
) -> None:
    """A wrong URL would otherwise turn the records of completed rows into failures."""
    path = write(library.parent / "m.parquet", {"id": ["a"], "style": ["ink"]})
    with pytest.raises(StyleError, match=r"nowhere: it has no styles, and a row names 'ink'"):
        entries(path, manifest={"style_library": str(library.parent / "nowhere")})
    unnamed = write(library.parent / "n.parquet", {"id": ["a"], "style": [None], "prompt": ["x"]})
    assert entries(unnamed, manifest={"style_library": str(library.parent / "nowhere")})


def test_weights_of_images_and_of_styles_stand_in_the_order_of_the_model(library: Path) -> None:
    cell = [{"style": "ink", "weight": 0.5}]
    row = valid(row_of(cell, library, style_image="a.png", style_weights=[0.2]))
    assert (row.num_styles, row.weights) == (2, (0.2, 0.5))
    row = valid(row_of(cell, library, style_image="a.png"))
    assert row.weights == (1.0, 0.5)
    assert valid(row_of(["ink"], library, style_image="a.png")).weights is None


def fingerprint(folder: Path, name: str, cell: Any = None) -> str:
    row = row_of(name if cell is None else cell, folder).row
    assert isinstance(row, ManifestRow)
    return row.fingerprint


def test_the_fingerprint_is_of_the_tokens(library: Path) -> None:
    """A renamed library, another name and a style that was added again change nothing."""
    first = fingerprint(library, "ink")
    renamed = library.rename(library.parent / "renamed")
    (renamed / "ink.safetensors").rename(renamed / "tusche.safetensors")
    assert fingerprint(renamed, "tusche") == first
    again = made_style(1, licence="another", created_at="2027-01-01T00:00:00+00:00")[1]
    styles = StyleLibrary(str(renamed), {})
    styles.write("tusche", again, force=True)
    assert fingerprint(renamed, "tusche") == first
    assert fingerprint(renamed, "x", {"style": "tusche", "weight": 0.5}) != first
    styles.write("tusche", made_style(3)[1], force=True)
    assert fingerprint(renamed, "tusche") != first


def digests(library: Path, path: Path) -> list[int | None]:
    found = entries(path, manifest={"style_library": str(library)})
    return [entry.source_digest for entry in found]


def test_the_source_digest_changes_with_the_styles_of_the_row_alone(
    library: Path, tmp_path: Path
) -> None:
    table = {"id": ["a", "b", "c"], "prompt": ["p"] * 3, "style": ["ink", "oil", None]}
    path = write(tmp_path / "m.parquet", table)
    before = digests(library, path)
    assert None not in before
    StyleLibrary(str(library), {}).write("ink", made_style(9)[1], force=True)
    after = digests(library, path)
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True]


def test_a_default_style_is_part_of_every_digest(library: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["a"], "prompt": ["p"]})
    sections = {"manifest": {"style_library": str(library)}, "defaults": {"style": "ink"}}
    first = entries(path, **sections)[0]
    assert valid(first).library_styles[0].sha256 == INK
    StyleLibrary(str(library), {}).write("ink", made_style(9)[1], force=True)
    assert entries(path, **sections)[0].source_digest != first.source_digest


def test_without_a_library_the_column_is_the_users_own(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["p"], "style": ["oil on canvas"]})
    entry = entries(path)[0]
    assert valid(entry).library_styles == ()
    assert entry.extra == {"style": "oil on canvas"}
    with pytest.raises(ManifestError, match=r"columns\.style: needs manifest\.style_library"):
        opened(path, manifest={"columns": {"style": "style"}})
    with pytest.raises((ConfigError, ValueError), match=r"set manifest\.style_library"):
        config(path, defaults={"style": "ink"})
