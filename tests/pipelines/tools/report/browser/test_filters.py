"""Filters, pages and keys of the grid."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.browser.conftest import expect_found, ids, opened
from tests.pipelines.tools.report.outputs import commit, failed, reported

pytestmark = pytest.mark.browser


def test_filters_select_rows_and_are_in_the_address(page: Page) -> None:
    expect_found(page, "80 rows")
    page.fill("#q", "PICTURE house")
    expect_found(page, "19 of 80 rows")
    page.click("#more-toggle")
    page.select_option("#status", "failed")
    expect_found(page, "2 of 80 rows")
    assert ids(page) == ["row-07", "row-67"]
    page.click("#clear")
    expect_found(page, "80 rows")
    page.select_option("#style", label="wave.png (26)")
    expect_found(page, "26 of 80 rows")
    page.click("#clear")
    page.fill('[name="min:score"]', "0.7")
    page.fill('[name="max:score"]', "0.75")
    expect_found(page, "6 of 80 rows")
    page.select_option("#order", label="score, highest first")
    expect(page.locator("#cards .open").first).to_have_text("row-75")
    assert ids(page) == [f"row-{n}" for n in range(75, 69, -1)]
    expect(page.locator("#cards .figure").first).to_have_text("score 0.75")
    page.reload()
    expect_found(page, "6 of 80 rows")
    assert page.input_value('[name="min:score"]') == "0.7"
    expect(page.locator("#more-count")).to_have_text(" 2")
    page.click(".chip >> text=score: ≥ 0.7")
    expect_found(page, "76 of 80 rows")
    page.fill("#q", "no such thing")
    expect(page.locator("#empty")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_bounds_of_a_number_are_readable(browser: Browser, tmp_path: Path, width: int) -> None:
    run = Storage.at(str(tmp_path))
    values = (0.0078021, 0.96881)
    commit(run, *(failed(f"row-{n}", score=value) for n, value in enumerate(values)))
    reported(run, Storage.at(str(tmp_path / "report")), thumbnails=0)
    url = (tmp_path / "report/index.html").as_uri()
    page = opened(browser, url, [], viewport={"width": width, "height": 800})
    page.click("#more-toggle")
    for placeholder in ("≥ 0.007802", "≤ 0.9688"):
        field = page.get_by_placeholder(placeholder, exact=True)
        box = field.bounding_box()
        assert box
        inside: FloatRect = {
            "x": box["x"],
            "y": box["y"] + 8,
            "width": box["width"] - 3,  # without its right border
            "height": box["height"] - 16,
        }
        narrow = page.screenshot(clip=inside)
        field.evaluate("({ style }) => { style.width = '300px'; style.marginRight = '-250px'; }")
        assert page.screenshot(clip=inside) == narrow, placeholder  # nothing is cut off
        field.evaluate("({ style }) => { style.width = style.marginRight = ''; }")


def test_failures_lead_to_their_rows(page: Page) -> None:
    page.click(".top .bad")
    expect_found(page, "4 of 80 rows")
    assert ids(page) == ["row-07", "row-27", "row-47", "row-67"]
    page.click("nav >> text=Numbers")
    expect(page.locator("#pictures")).to_be_hidden()
    page.click(".failures a")
    expect(page.locator("#pictures")).to_be_visible()
    assert "status=uri_timeout" in page.url
    expect_found(page, "4 of 80 rows")


def test_the_pager_and_its_keys_turn_pages(browser: Browser, tmp_path: Path) -> None:
    run = Storage.at(str(tmp_path))
    commit(run, *(failed(f"row-{n:05d}") for n in range(10_001)))
    reported(run, Storage.at(str(tmp_path / "report")), thumbnails=0)
    problems: list[str] = []
    page = opened(browser, (tmp_path / "report/index.html").as_uri(), problems)
    pager = page.locator("#pictures .pager").first
    first = page.locator("#cards .open").first
    expect(pager).to_contain_text("of 3")
    pager.get_by_role("button", name="Next").click()
    expect(first).to_have_text("row-05000")
    page.keyboard.press("]")
    expect(first).to_have_text("row-10000")
    expect(page.locator("#cards .card")).to_have_count(1)
    page.keyboard.press("[")
    expect(first).to_have_text("row-05000")
    pager.locator("input").fill("1")
    pager.locator("input").press("Enter")
    expect(first).to_have_text("row-00000")
    page.locator("#cards .open").first.focus()
    page.keyboard.press("End")
    last = page.locator("#cards .open", has_text="row-04999")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    assert page.locator("#cards .card").count() < 200
    page.fill("#q", "row-0001")
    expect_found(page, "10 of 10,001 rows")
    expect(pager).to_be_hidden()
    page.context.close()
    assert problems == []


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("dog")
    expect_found(page, "21 of 80 rows")
    page.keyboard.press("Escape")
    expect(page.locator("#cards .open").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    place = page.evaluate("Number(document.activeElement.closest('.card').dataset.place)")
    tops = page.locator("#cards .card").evaluate_all("all => all.map(c => c.style.transform)")
    columns = len([top for top in tops if top.endswith(" 0px)")])
    assert place == columns
    here = page.evaluate("document.activeElement.innerText")
    page.keyboard.press("Enter")
    title = page.locator("#detail-title")
    expect(page.locator("#detail")).to_be_visible()
    expect(title).to_be_focused()
    assert title.inner_text() == here
    page.keyboard.press("ArrowRight")
    expect(title).not_to_have_text(here)
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text(here)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("survey")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#cards .open", has_text=here)).to_be_focused()


def test_the_size_of_the_pictures_can_be_chosen_and_is_kept(page: Page) -> None:
    card = page.locator("#cards .card").first

    def width() -> float:
        box = card.bounding_box()
        assert box is not None
        return box["width"]

    before = width()
    page.keyboard.press("+")
    page.keyboard.press("+")
    larger = width()
    assert larger > before * 1.2
    page.reload()
    expect(card.locator("img")).to_be_visible()
    assert width() == larger
    page.fill("#size", "0")
    assert width() < before * 0.6
