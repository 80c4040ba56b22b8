"""Images that the safety check has flagged, in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.failures import Failure
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.outputs import (
    commit,
    data_file,
    generated,
    record,
    reported,
    rows_of,
)


def flagged(record: dict[str, Any], *flags: bool) -> dict[str, Any]:
    return {**record, "has_nsfw_contents": list(flags)}


def withheld(row_id: str) -> dict[str, Any]:
    failure = Failure("unsafe_content", "withheld")
    return flagged(record(row_id, Outcome(row_id=row_id, failure=failure)), False, True)


def page_of(folder: Path, *records: dict[str, Any]) -> tuple[str, Storage]:
    run, out = Storage.at(str(folder)), Storage.at(str(folder / "report"))
    commit(run, *records)
    reported(run, out, thumbnails=0)
    return (folder / "report" / "index.html").read_text(), out


def test_flags_are_counted_and_marked(tmp_path: Path) -> None:
    run = Storage.at(str(tmp_path))
    page, out = page_of(
        tmp_path,
        flagged(generated(run, "a"), True),
        flagged(generated(run, "b"), False),
        generated(run, "c"),
        withheld("d"),
    )
    assert "<dt>Flagged</dt><dd>2</dd>" in page
    assert "of 4 images that the safety check has seen" in page
    assert '<option value="flagged">' in page
    assert [row.get("flags") for row in rows_of(out)] == [[True], None, None, [False, True]]
    assert data_file(out, "of-flagged") == [1, 0, 0, 1]


def test_without_a_check_nothing_is_said_of_flags(tmp_path: Path) -> None:
    page, out = page_of(tmp_path, generated(Storage.at(str(tmp_path)), "a"))
    assert "Flagged" not in page
    assert data_file(out, "facets")["flagged"] is False
