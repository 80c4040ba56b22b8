"""Filters, pages and keys of the gallery."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pipelines.tools.report.browser.conftest import expect_found, ids

pytestmark = pytest.mark.browser


def test_filters_select_rows_and_are_in_the_address(page: Page) -> None:
    expect_found(page, "80 rows")
    page.fill("#q", "PICTURE house")
    expect_found(page, "19 of 80 rows")
    page.select_option("#status", "failed")
    expect_found(page, "2 of 80 rows")
    assert ids(page) == ["row-07", "row-67"]
    page.click("text=Clear")
    expect_found(page, "80 rows")
    page.select_option("#style", label="wave.png (26)")
    expect_found(page, "26 of 80 rows")
    page.click("text=Clear")
    page.fill("#min", "0.7")
    page.fill("#max", "0.75")
    expect_found(page, "6 of 80 rows")
    page.select_option("#order", label="score, highest first")
    expect(page.locator("#cards .open").first).to_have_text("row-75")
    assert ids(page) == [f"row-{n}" for n in range(75, 69, -1)]
    page.reload()
    expect_found(page, "6 of 80 rows")
    assert page.input_value("#min") == "0.7"
    page.click("text=Clear")
    page.fill("#q", "no such thing")
    expect(page.locator(".empty")).to_be_visible()


def test_failures_lead_to_their_rows(page: Page) -> None:
    page.click(".failures a")
    expect_found(page, "4 of 80 rows")
    assert ids(page) == ["row-07", "row-27", "row-47", "row-67"]


def test_the_pager_and_its_keys_turn_pages(page: Page) -> None:
    pager = page.locator("#pictures .pager").first
    assert len(ids(page)) == 24
    pager.get_by_role("button", name="Next").click()
    expect(page.locator("#cards .open").first).to_have_text("row-23")
    page.keyboard.press("]")
    expect(page.locator("#cards .open").first).to_have_text("row-47")
    page.keyboard.press("[")
    expect(page.locator("#cards .open").first).to_have_text("row-23")
    pager.locator("input").fill("4")
    pager.locator("input").press("Enter")
    expect(page.locator("#cards .card")).to_have_count(8)
    page.select_option("#size", "96")
    expect(page.locator("#cards .card")).to_have_count(80)
    expect(pager).to_be_hidden()


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("dog")
    expect_found(page, "21 of 80 rows")
    page.locator("#cards .open").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    place = page.evaluate("[...document.querySelectorAll('.open')].indexOf(document.activeElement)")
    columns = page.evaluate(
        "getComputedStyle(document.querySelector('#cards')).gridTemplateColumns.split(' ').length"
    )
    assert place == columns
    page.keyboard.press("Enter")
    dialog = page.locator("#detail")
    expect(dialog).to_be_visible()
    expect(page.locator("#detail-title")).to_be_focused()
    here = page.locator("#detail-title").inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-title")).not_to_have_text(here)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail-title")).to_have_text(here)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#cards .open").nth(columns)).to_be_focused()
