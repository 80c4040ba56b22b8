"""Cards, row details, the slider and the matrix."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pipelines.tools.report.browser.conftest import HOSTILE, expect_found

pytestmark = pytest.mark.browser


def test_pictures_are_shown_side_by_side(page: Page) -> None:
    card = page.locator(".card", has_text="row-00")
    images = card.locator("img")
    expect(images).to_have_count(4)
    assert [image.evaluate("i => i.decode().then(() => i.naturalWidth)") for image in images.all()]
    assert card.locator("figcaption").all_inner_texts() == [
        "content",
        "style",
        "here",
        "there · identical",
    ]


def test_the_summary_leads_to_pairs_that_differ(page: Page) -> None:
    table = page.locator("#distances")
    expect(table.locator("tr", has_text="identical").locator("td").first).to_have_text("20")
    expect(table.locator("tr", has_text="differ").locator("td").first).to_have_text("18")
    median = table.locator("tr", has_text="median").locator("td").first.inner_text()
    table.get_by_text("show, lowest first").click()
    expect(page.locator("#cards .open").first).to_have_text("row-01")
    caption = page.locator(".card", has_text="row-01").locator("figcaption").last
    assert caption.inner_text() == f"there · {median}"
    table.locator("td.id a").nth(1).click()
    expect(page.locator("#detail-title")).to_have_text("row-03")
    expect(page.locator("#detail .distance")).to_have_text(f"PSNR: {median}")


def test_a_row_can_be_linked_to(page: Page) -> None:
    page.locator("#cards .open", has_text="row-05").click()
    page.reload()
    expect(page.locator("#detail-title")).to_have_text("row-05")


def test_the_slider_shows_more_of_one_or_the_other(page: Page) -> None:
    page.locator("#cards .open", has_text="row-01").click()
    slider = page.locator(".slider input")
    over = page.locator(".over")
    assert "50%" in over.evaluate("e => e.style.clipPath")
    slider.focus()
    page.keyboard.press("Home")
    assert over.evaluate("e => e.style.clipPath") in ("inset(0px 0px 0px 0%)", "inset(0 0 0 0%)")
    page.keyboard.press("ArrowRight")
    assert "1%" in over.evaluate("e => e.style.clipPath")
    expect(slider).to_have_attribute("aria-valuetext", "1 % here, 99 % there")
    box = page.locator(".stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert slider.input_value() == "75"
    page.keyboard.press("Escape")
    page.select_option("#compare", "different")
    expect_found(page, "18 of 80 rows")


def test_the_matrix_opens_its_rows(page: Page) -> None:
    page.click("nav >> text=Matrix")
    table = page.locator("#matrix-table")
    expect(table.locator("thead th")).to_have_count(3)
    expect(table.locator("tbody tr")).to_have_count(4)
    table.locator("button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    page.keyboard.press("Escape")
    expect(table.locator("tbody tr").nth(1).locator("button").nth(1)).to_be_focused()


def test_a_hostile_row_is_shown_as_text(page: Page) -> None:
    page.fill("#q", "onerror")
    expect_found(page, "1 of 80 rows")
    card = page.locator("#cards .card")
    expect(card.locator(".prompt")).to_have_text(HOSTILE)
    card.locator(".open").click()
    expect(page.locator("#detail-title")).to_have_text(HOSTILE)
    (target,) = page.locator("#detail a").evaluate_all("all => all.map(a => a.href)")
    assert "/run/images/" in target
    assert target.startswith("file:")
    assert page.locator("svg[onload], img[onerror]").count() == 0
