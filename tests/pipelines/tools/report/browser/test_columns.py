"""Filters over scores and the user's own columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.image_values import record_column
from pipelines.ledger.ledger import Ledger
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.browser.conftest import HOSTILE, expect_found, ids, opened
from tests.pipelines.tools.report.outputs import generated, reported

pytestmark = pytest.mark.browser

SCORES = pa.struct([("edges", pa.float64()), (HOSTILE, pa.float64())])
COLUMNS = [
    record_column(pa.field("scores", SCORES)),
    pa.field("album", pa.string()),
    pa.field(HOSTILE, pa.string()),
    pa.field("caption", pa.string()),
    pa.field("length", pa.int64()),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on 60 rows with scores and columns, some of which have hostile names and values."""
    root = tmp_path_factory.mktemp("columns")
    run = Storage.at(str(root))
    records = []
    for n in range(60):
        scores = None if n % 6 == 5 else [{"edges": n / 60, HOSTILE: float(n)}]
        own: dict[str, Any] = {
            "scores": scores,
            "album": ("spring", "autumn", None)[n % 3],
            HOSTILE: HOSTILE if n % 2 else "harmless",
            "caption": f"Take {n} {HOSTILE}",
            "length": n,
        }
        record = generated(run, f"row-{n:02d}", seed=n, **own)
        del record["note"], record["score"]
        records.append(record)
    Ledger.open(run, record_schema(pa.schema(COLUMNS))).append(records)
    reported(run, Storage.at(str(root / "report")))
    return root / "report"


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page with its filters open; any problem on it fails the test."""
    problems: list[str] = []
    page = opened(browser, (folder / "index.html").as_uri(), problems)
    page.click("#more-toggle")
    yield page
    hacked = page.evaluate("window.hacked")
    page.context.close()
    assert (problems, hacked) == ([], None)


def test_values_are_picked_texts_searched_and_numbers_bounded(page: Page) -> None:
    page.select_option('[name="pick:album"]', label="autumn (20)")
    expect_found(page, "20 of 60 rows")
    page.fill('[name="min:edges"]', "0.5")
    expect_found(page, "10 of 60 rows")
    page.fill('[name="text:caption"]', "TAKE 40")
    expect_found(page, "1 of 60 rows")
    assert ids(page) == ["row-40"]
    assert page.locator(".chip").all_inner_texts() == [
        "edges: ≥ 0.5 ✕",
        "album: autumn (20) ✕",
        "caption: contains TAKE 40 ✕",
    ]
    page.reload()
    expect_found(page, "1 of 60 rows")
    page.click("#more-toggle")
    page.click("#clear")
    page.select_option('[name="pick:album"]', "none")
    expect_found(page, "20 of 60 rows")


def test_rows_are_ordered_by_a_score_and_those_without_it_are_last(page: Page) -> None:
    page.click("nav >> text=Numbers")
    page.locator("#scores tr", has_text="edges").get_by_text("highest").click()
    expect(page.locator("#cards .open").first).to_have_text("row-58")
    expect(page.locator("#cards .figure").first).to_have_text("edges 0.9667")
    page.locator("#cards .open").first.focus()
    page.keyboard.press("End")
    expect(page.locator("#cards .open", has_text="row-59")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail section", has_text="Your columns")).to_contain_text("length")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail section", has_text="Scores")).to_contain_text("edges")


def test_hostile_names_and_values_are_text(page: Page) -> None:
    pick = page.locator(".more label", has_text=HOSTILE)
    expect(pick).to_have_count(1)
    pick.locator("select").select_option(f"={HOSTILE}")
    expect_found(page, "30 of 60 rows")
    expect(page.locator(".chip").first).to_contain_text(HOSTILE)
    page.get_by_label(f"{HOSTILE}, at least").fill("50")
    expect_found(page, "3 of 60 rows")
    page.reload()
    expect_found(page, "3 of 60 rows")
    page.locator("#cards .open").first.click()
    expect(page.locator("#detail section", has_text="Scores")).to_contain_text(HOSTILE)
    assert page.locator("svg[onload], img[onerror]").count() == 0
