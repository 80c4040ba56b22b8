"""Opening a report of many rows: only the files on the screen are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipelines.storage.storage import Storage
from pipelines.tools.report.row_files import IDS_PER_FILE, ROWS_PER_FILE
from tests.pipelines.tools.report.browser.conftest import expect_found, opened
from tests.pipelines.tools.report.outputs import commit, failed, reported

pytestmark = pytest.mark.browser

ROWS = IDS_PER_FILE + ROWS_PER_FILE + 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a report on rows in several files of each kind."""
    root = tmp_path_factory.mktemp("large")
    rows = [
        failed(f"row-{n:05d}", prompt=f"number {n}", score=n / 8, note=f"note {n % 3}")
        for n in range(ROWS)
    ]
    commit(Storage.at(str(root)), *rows)
    reported(Storage.at(str(root)), Storage.at(str(root / "report")), thumbnails=0)
    return Path(root / "report/index.html").as_uri()


def test_only_what_is_on_the_screen_is_read(browser: Browser, large: str) -> None:
    page = browser.new_page()
    read: list[str] = []
    page.on("request", lambda request: read.extend(re.findall(r"/data/\w+/(.*)\.js", request.url)))
    page.goto(large)
    expect(page.locator("#cards .open").first).to_have_text("row-00000")
    assert sorted(read) == ["facets", "ids-0", "rows-0", "texts-0"]
    page.goto(f"{large}#?min:score={ROWS / 8 - 0.125}&order=0u")
    expect_found(page, f"1 of {ROWS:,} rows")
    last = (ROWS - 1) // ROWS_PER_FILE
    expect(page.locator("#cards .open")).to_have_text(f"row-{ROWS - 1:05d}")
    assert sorted(set(read[4:])) == ["ids-1", "numbers-0", f"rows-{last}", f"texts-{last}"]
    page.close()


def test_rows_in_all_files_are_found(browser: Browser, large: str) -> None:
    problems: list[str] = []
    page = opened(browser, large, problems)
    page.fill("#q", f"number {ROWS - 1}")
    expect_found(page, f"1 of {ROWS:,} rows")
    expect(page.locator("#cards .open")).to_have_text(f"row-{ROWS - 1:05d}")
    page.goto(f"{large}#?pick:note==note 1")
    expect_found(page, f"{ROWS // 3:,} of {ROWS:,} rows")
    expect(page.locator("#cards .open").first).to_have_text("row-00001")
    page.context.close()
    assert problems == []


def test_a_browser_that_cannot_unpack_says_so(browser: Browser, large: str) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(large)
    expect(page.locator("#found")).to_contain_text("This browser cannot unpack the report")
    page.close()
