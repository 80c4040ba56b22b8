from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ManifestError
from tests.pipelines.manifests import entries, opened, rejected, valid


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        "id,prompt,style_images,width,keep_size,label\r\n"
        '01,"a, ""quoted""\nfox",s.png,512.0,TRUE,5\r\n'
        "\r\n"
        '2,,"[""/a.png"", ""/b.png""]",,,\r\n',
        encoding="utf-8-sig",
    )
    manifest = opened(path)
    assert manifest.total_rows is None
    assert manifest.extra_schema == pa.schema([("label", pa.int64())])
    first, second = manifest.entries()
    row = valid(first)
    assert (row.id, row.prompt) == ("01", 'a, "quoted"\nfox')
    assert row.style_images == (f"{tmp_path}/s.png",)
    assert (row.parameters.width, row.parameters.keep_size) == (512, True)
    assert valid(second).style_images == ("/a.png", "/b.png")
    assert (valid(second).prompt, valid(second).parameters.keep_size) == ("", False)
    assert [first.extra, second.extra] == [{"label": 5}, {"label": None}]
    assert opened(path, manifest={"limit": 1}).total_rows is None


def test_csv_lines_that_are_not_rows_affect_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"prompt,label\na,1\nb\nc,1,2\nd\xff,1\ne,2\n")
    first, short, long, broken, last = entries(path)
    assert (valid(first).prompt, valid(last).prompt) == ("a", "e")
    assert "line 3: has 1 cells, but the header has 2" in rejected(short).failure.message
    assert "line 4: has 3 cells" in rejected(long).failure.message
    assert "line 5: is not UTF-8" in rejected(broken).failure.message
    assert short.extra == {"label": None}


def test_spaces_beside_the_commas_of_a_csv_header_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("prompt , seed, label\na, 5, x\n", encoding="utf-8")
    (entry,) = entries(path)
    assert valid(entry).parameters.seed == 5
    assert entry.extra == {"label": " x"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_csv_header_that_is_not_utf8_is_reported(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text("prompt,größe\na,1\n", encoding=encoding)
    with pytest.raises(ManifestError, match=r"m\.csv: (its first line is not UTF-8|is not CSV)"):
        opened(path)


def test_csv_cells_may_be_long(tmp_path: Path) -> None:
    uri = f"data:image/png;base64,{'A' * 500_000}"
    path = tmp_path / "m.csv"
    path.write_text(f'content_image\n"{uri}"\n', encoding="utf-8")
    assert valid(entries(path)[0]).content_image == uri
