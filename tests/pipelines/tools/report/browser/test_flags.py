"""The filter for images that the safety check has flagged."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.browser.conftest import expect_found, ids, opened
from tests.pipelines.tools.report.outputs import generated
from tests.pipelines.tools.report.test_flags import flagged, page_of, withheld

pytestmark = pytest.mark.browser


def test_the_summary_leads_to_the_flagged_rows(browser: Browser, tmp_path: Path) -> None:
    run = Storage.at(str(tmp_path))
    rows = [generated(run, name, seed=number) for number, name in enumerate("abc")]
    page_of(tmp_path, rows[0], flagged(rows[1], True), flagged(rows[2], False), withheld("d"))
    problems: list[str] = []
    page = opened(browser, (tmp_path / "report" / "index.html").as_uri(), problems)
    expect_found(page, "4 rows")
    page.click(".top .counts >> text=2 flagged")
    expect_found(page, "2 of 4 rows")
    assert ids(page) == ["b", "d"]
    expect(page.locator("#cards .card").first).to_contain_text("flagged")
    page.locator("#cards .open").last.click()
    expect(page.locator("#detail")).to_contain_text("image 2")
    assert problems == []
