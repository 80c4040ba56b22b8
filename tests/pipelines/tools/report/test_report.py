from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import ReportError
from pipelines.storage.storage import Storage
from pipelines.tools.report.facets import COMPARISONS
from pipelines.tools.report.page import SCRIPTS, STYLES, span
from pipelines.tools.report.row_files import IDS_PER_FILE, ROWS_PER_FILE
from tests.pipelines.records import drop_column
from tests.pipelines.tools.report.outputs import (
    boot,
    commit,
    data_file,
    failed,
    generated,
    reported,
    rows_of,
)

HOSTILE = '</script><img src=x onerror="window.hacked=1">\'"&<b>\x1b[31m\u202e\u2028{{ 7*7919 }}'


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_report_is_written_to_any_storage_and_can_be_written_again(storage: Storage) -> None:
    out = Storage.at(storage.uri("report"), storage._options)
    commit(storage, generated(storage, "a", styles=["/nowhere/s.png"]), failed("b"))
    facts = reported(storage, out)
    assert facts.index_uri == out.uri("index.html")
    assert facts.rows == 2
    reported(storage, out)
    files = out.list("")
    build = boot(out)["data"].removeprefix("data/")
    assets = {f"assets/{build}/{name}" for name in (*SCRIPTS, *STYLES)}
    names = ("facets", "ids-0", "numbers-0", "of-code", "of-set", "rows-0", "sets", "texts-0")
    data = {f"data/{build}/{name}.js" for name in names}
    thumbs = {path for path in files if path.startswith("thumbs/")}
    assert set(files) == {"index.html", *assets, *data, *thumbs}
    assert len(thumbs) == 1
    (image,) = rows_of(out)[0]["images"]
    assert image["full"].startswith("../images/")


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "site"))
    kept = ["data/mine.js", "data/0123abcd/mine.js", "assets/logo.svg", "data/0123abcd/rows-0.json"]
    for path in kept:
        out.write(path, b"mine")
    commit(run, generated(run, "a"))
    reported(run, out)
    assert [path for path in kept if not out.exists(path)] == []


def test_rows_have_the_facts_of_their_records(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "run/report"))
    commit(
        run,
        generated(
            run, "b", prompt="a cat", content="/c.png", styles=["/s.png", "/t.png"], score=0.5
        ),
        failed("a", message="no answer", note="kept"),
    )
    reported(run, out, thumbnails=0)
    first, second = rows_of(out)
    assert first["error"]["message"] == "no answer"
    assert first["own"] == {"note": "kept"}
    assert (second["id"], second["prompt"]) == ("b", "a cat")
    assert (second["content"]["name"], [s["name"] for s in second["styles"]]) == (
        "c.png",
        ["s.png", "t.png"],
    )
    assert second["timings"]["inference"] == 60
    assert second["own"] == {"score": 0.5}
    texts = data_file(out, "texts-0")
    assert (texts["prompt"], data_file(out, "ids-0")["of"]) == (["a picture", "a cat"], ["a", "b"])
    assert [ref["name"] for ref in texts["refs"]] == ["c.png", "s.png", "t.png"]


def test_rows_have_their_style_weights(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "run/report"))
    commit(run, generated(run, "a", styles=["/s.png"], weights=(0.5,)), generated(run, "b"))
    reported(run, out, thumbnails=0)
    assert [row.get("style_weights") for row in rows_of(out)] == [[0.5], None]


def test_old_records_without_style_weights_are_shown(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "run/report"))
    commit(run, generated(run, "a", styles=["/s.png"]))
    drop_column(run, "style_weights")
    reported(run, out, thumbnails=0)
    (row,) = rows_of(out)
    assert ([style["name"] for style in row["styles"]], "style_weights" in row) == (
        ["s.png"],
        False,
    )


def test_facets_have_the_filter_data_of_each_row(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    commit(
        run,
        generated(run, "a", styles=["/s.png"], score=0.25),
        failed("b", styles=["/t.png", "/s.png"], score=-1),
        generated(run, "c"),
    )
    reported(run, out, thumbnails=0)
    facets = data_file(out, "facets")
    codes = [facets["codes"][code] for code in data_file(out, "of-code")]
    assert codes == ["", "uri_timeout", ""]
    assert [style["name"] for style in facets["styles"]] == ["s.png", "t.png"]
    sets = data_file(out, "sets")
    assert [sets[one] for one in data_file(out, "of-set")] == [[0], [0, 1], []]
    assert [column["name"] for column in boot(out)["numbers"]] == ["score", "seconds on the worker"]
    assert boot(out)["numbers"][0] == {
        "name": "score",
        "kind": "own",
        "of": "score",
        "min": -1,
        "mean": -0.375,
        "max": 0.25,
    }
    assert data_file(out, "numbers-0")[:2] == [0.25, -1]
    assert np.isnan(data_file(out, "numbers-0")[2])
    assert data_file(out, "numbers-1")[0] == 0.1


def test_many_rows_are_cut_into_files_without_a_loss(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    count = 2 * ROWS_PER_FILE + 7
    commit(run, *(failed(f"row-{n:05d}") for n in range(count)))
    reported(run, out)
    ids = [row["id"] for n in range(3) for row in rows_of(out, n)]
    assert ids == [f"row-{n:05d}" for n in range(count)]
    assert count < IDS_PER_FILE
    assert data_file(out, "ids-0")["of"] == ids
    assert boot(out)["rows"] == count


def test_two_runs_are_compared_row_by_row(tmp_path: Path) -> None:
    run, other = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "other"))
    out = Storage.at(str(tmp_path / "run/report"))
    commit(run, *(generated(run, row_id) for row_id in "abcd"), failed("e"), failed("f"))
    theirs = [
        generated(other, "a"),
        generated(other, "b", seed=9),
        failed("c"),
        generated(other, "e"),
    ]
    commit(other, *theirs, failed("f"), failed("only there"))
    reported(run, out, other)
    states = [COMPARISONS[number] for number in data_file(out, "of-comparison")]
    assert states == ["same", "different", "only_this", "absent", "only_other", "neither"]
    assert boot(out)["comparisons"] == dict.fromkeys(COMPARISONS, 1)
    rows = {row["id"]: row for row in rows_of(out)}
    shown = rows["b"]["against"]["images"][0]
    assert (tmp_path / "run/report" / shown["full"]).read_bytes() == other.read(
        shown["full"].removeprefix("../../other/")
    )
    assert out.exists(shown["thumb"])
    assert rows["c"]["against"]["error"]["code"] == "uri_timeout"
    assert "only there; not listed" in out.read("index.html").decode()


def test_the_matrix_has_a_cell_for_each_pair(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    records = [
        generated(run, f"{c}{s}", content=f"/{c}.png", styles=[f"/{s}.png"])
        for c in "xyz"
        for s in "st"
        if (c, s) != ("z", "t")
    ]
    commit(run, *records, failed("again", content="/x.png", styles=["/s.png"]))
    reported(run, out)
    page = data_file(out, "matrix-0")
    names = [ref["name"] for ref in page["refs"]]
    assert [[names[i] for i in styles] for styles in page["styles"]] == [["s.png"], ["t.png"]]
    cells = {names[row["content"]]: row["cells"] for row in page["rows"]}
    assert [(cell["id"], cell["rows"]) for cell in cells["x.png"]] == [("xs", 2), ("xt", 1)]
    assert [cell["style"] for cell in cells["z.png"]] == [0]
    assert out.exists(cells["y.png"][0]["image"]["thumb"])


def test_user_texts_are_never_html_or_script(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "-").replace("\x1b", "")
    run, out = Storage.at(str(tmp_path / name)), Storage.at(str(tmp_path / "report"))
    uris = ["javascript:alert(1)", f"https://example.com/{HOSTILE}", f"/x/{HOSTILE}"]
    commit(
        run,
        generated(run, HOSTILE, prompt=HOSTILE, content=uris[0], styles=uris[1:], note=HOSTILE),
        failed("f", message=HOSTILE, prompt=HOSTILE),
    )
    reported(run, out)
    page = out.read("index.html").decode()
    tags = Tags(page).found
    assert {tag for tag, _ in tags}.isdisjoint({"img", "b", "iframe", "object", "style"})
    assert [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)] == []
    sources = {attrs["src"] for tag, attrs in tags if tag == "script" and "src" in attrs}
    assert all(source and source.startswith("assets/") for source in sources)
    assert "55433" not in page
    for path in out.list("data"):
        text = out.read(path).decode("ascii")
        assert not set("<>&\x1b") & set(text), path
        assert re.fullmatch(r'uso\.unpack\("[a-z0-9-]+","[A-Za-z0-9+/=]*"(,\{[^<>]*\})?\);\n', text)
    first = rows_of(out)[0]
    assert "link" not in first["content"]
    assert "\u202e" not in first["prompt"]
    assert first["prompt"].startswith("</script><img src=x onerror=")


def test_the_page_requests_nothing_from_other_sites(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    commit(run, generated(run, "a"))
    reported(run, out)
    for tag, attrs in Tags(out.read("index.html").decode()).found:
        for name in ("src", "href"):
            value = attrs.get(name) or ""
            assert not re.match(r"(?i)[a-z]+://|//", value), (tag, value)
    policy = next(
        attrs["content"] or ""
        for tag, attrs in Tags(out.read("index.html").decode()).found
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_an_output_without_records_is_an_error(tmp_path: Path) -> None:
    empty, out = Storage.at(str(tmp_path / "empty")), Storage.at(str(tmp_path / "report"))
    with pytest.raises(ReportError, match="no records"):
        reported(empty, out)
    run = Storage.at(str(tmp_path / "run"))
    commit(run, generated(run, "a"))
    with pytest.raises(ReportError, match="compare with"):
        reported(run, out, other=empty)
    assert out.list("") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (75, "1 min 15 s"), (7200, "2 h"), (90_061, "1 d 1 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
