"""`uso compare`: the table, the JSON and the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.storage.storage import Storage
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.compare.outputs import write_output
from tests.pipelines.tools.report.outputs import commit, generated


def compare(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def outputs(tmp_path: Path) -> tuple[Path, Path]:
    content = tmp_path / "content.png"
    content.write_bytes(encode(picture(40, 30, seed=99), "PNG"))
    for name, better in (("a", 0.0), ("b", 0.2)):
        write_output(
            tmp_path / name,
            {
                f"row-{at}": {"style": 0.3 + at / 100 + better * (at + 1) / 10, "palette": 0.5}
                for at in range(10)
            }
            | {"<i>lost</i>": None if name == "b" else {"style": 0.1}},
            content=str(content),
            prompt="<script>alert(1)</script>",
        )
    return tmp_path / "a", tmp_path / "b"


def test_the_table_has_means_difference_interval_and_reading(outputs: tuple[Path, Path]) -> None:
    result = compare(*outputs)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert f"A {outputs[0]}: 11 completed, 0 failed" in lines
    assert f"B {outputs[1]}: 10 completed, 1 failed, 1 failed only here" in lines
    assert "pairs 10 rows completed in A and B" in lines
    style = next(line for line in lines if line.startswith("style"))
    assert re.fullmatch(
        r"style 0\.345 0\.455 \+0\.110 \+0\.0\d\d to \+0\.1\d\d 100 % 10 B is better", style
    )
    palette = next(line for line in lines if line.startswith("palette"))
    assert palette.endswith("0.000 to 0.000 0 % 10 no difference shown")
    assert "not compared: colour: no paired row of A and B has it" in lines


def test_json_has_the_same_numbers(outputs: tuple[Path, Path]) -> None:
    result = compare(*outputs, "--json")
    document = json.loads(result.stdout)
    style = document["scores"][0]
    assert style["name"] == "style"
    assert style["difference"] == pytest.approx(0.11)
    assert style["interval"][0] < 0.11 < style["interval"][1]
    assert (style["verdict"], style["rows"], document["pairs"]) == ("b", 10, 10)
    assert document["b"]["failed_here"] == 1
    assert document["page"] is None


def test_the_page_shows_the_pairs_and_escapes_everything(
    outputs: tuple[Path, Path], tmp_path: Path
) -> None:
    result = compare(*outputs, "--out", tmp_path / "page", "--pairs", "4")
    assert result.exit_code == 0, result.output
    assert f"wrote    {tmp_path}/page/index.html" in result.stdout
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<h3 dir="auto">(.*?)</h3>', page)
    assert shown == ["row-0", "row-1", "row-8", "row-9"]  # by the difference of `style`
    assert "<script>alert" not in page
    assert "<b>distance" not in page
    assert page.count("&lt;script&gt;alert(1)") == 4
    files = set(re.findall(r'(?:src|href)="((?:thumbs|assets)/[^"]+)"', page))
    assert len([name for name in files if name.startswith("thumbs/")]) == 4 + 1
    for name in files:
        assert (tmp_path / "page" / name).is_file(), name
    for target in re.findall(r'href="(\.\./[^"]+)"', page):
        assert (tmp_path / "page" / target).resolve().is_file(), target
    again = compare(*outputs, "--out", tmp_path / "page", "--pairs", "4")
    assert again.exit_code == 0


def test_a_comparison_of_nothing_is_an_error(outputs: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_output(tmp_path / "other", {"x": {"style": 1.0}})
    result = compare(outputs[0], other.uri())
    assert result.exit_code == 2
    assert "rows are paired by their ids" in result.stderr
    plain = Storage.at(str(tmp_path / "plain"))
    commit(plain, generated(plain, "row-0"))
    result = compare(outputs[0], tmp_path / "plain")
    assert result.exit_code == 2
    assert "have no score in common (style: no paired row of B has it; " in result.stderr
    assert "--measure computes scores of the stored images" in result.stderr
    result = compare(outputs[0], tmp_path / "nothing")
    assert result.exit_code == 2
    assert "no records" in result.stderr
