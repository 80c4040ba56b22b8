"""Cards, row details, the slider and the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.browser.conftest import HOSTILE, expect_found, opened
from tests.pipelines.tools.report.outputs import commit, generated, reported

pytestmark = pytest.mark.browser


def test_results_are_shown_alone_or_beside_their_inputs(page: Page) -> None:
    card = page.locator(".card", has_text="row-00")
    assert card.locator(".names").inner_text() == "cat \u00d7 sunflowers"
    expect(card.locator("img")).to_have_count(2)
    assert card.locator(".label").all_inner_texts() == ["here", "there · identical"]
    page.select_option("#show", "inputs")
    images = card.locator("img")
    expect(images).to_have_count(4)
    assert [image.evaluate("i => i.decode().then(() => i.naturalWidth)") for image in images.all()]
    labels = ["content", "style", "here", "there · identical"]
    assert card.locator(".label").all_inner_texts() == labels
    page.select_option("#show", "results")
    expect(images).to_have_count(1)
    assert "show=results" in page.url


def test_the_summary_leads_to_pairs_that_differ(page: Page) -> None:
    page.click("nav >> text=Numbers")
    table = page.locator("#distances")
    expect(table.locator("tr", has_text="identical").locator("td").first).to_have_text("20")
    expect(table.locator("tr", has_text="differ").locator("td").first).to_have_text("18")
    median = table.locator("tr", has_text="median").locator("td").first.inner_text()
    table.get_by_text("show, lowest first").click()
    expect(page.locator("#cards .open").first).to_have_text("row-01")
    label = page.locator(".card", has_text="row-01").locator(".label").last
    assert label.inner_text() == f"there · {median}"
    page.click("nav >> text=Numbers")
    table.locator("td.id a").nth(1).click()
    expect(page.locator("#detail-title")).to_have_text("row-03")
    expect(page.locator("#detail .distance")).to_have_text(f"PSNR: {median}")


def test_a_row_can_be_linked_to(page: Page) -> None:
    page.locator("#cards .open", has_text="row-05").click()
    page.reload()
    expect(page.locator("#detail-title")).to_have_text("row-05")


def test_the_slider_shows_more_of_one_or_the_other(page: Page) -> None:
    page.locator("#cards .open", has_text="row-01").click()
    assert page.locator(".modes button").all_inner_texts() == [
        "here ↔ there",
        "content ↔ result",
        "result",
    ]
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
    page.keyboard.press("Tab")
    page.keyboard.press("c")
    expect(page.locator(".side.left")).to_have_text("content")
    expect(page.locator('.modes [aria-pressed="true"]')).to_have_text("content ↔ result")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail-title")).to_have_text("row-02")
    expect(page.locator(".side.left")).to_have_text("content")
    page.keyboard.press("c")
    expect(page.locator(".slider")).to_have_count(0)
    page.keyboard.press("Escape")
    page.click("#more-toggle")
    page.select_option("#compare", "different")
    expect_found(page, "18 of 80 rows")


def test_a_picture_can_be_zoomed_and_moved(page: Page) -> None:
    page.locator("#cards .open", has_text="row-01").click()
    pan, stage = page.locator(".pan"), page.locator(".stage")
    fitting = stage.evaluate("e => e.clientWidth")
    page.keyboard.press("z")
    expect(page.locator(".level")).to_have_text("3 \u00d7")
    assert stage.evaluate("e => e.clientWidth") == pytest.approx(3 * fitting, abs=2)
    middle = pan.evaluate("e => (e.scrollLeft + e.clientWidth / 2) / e.scrollWidth")
    assert middle == pytest.approx(0.5, abs=0.02)
    page.keyboard.press("-")
    expect(page.locator(".level")).to_have_text("2 \u00d7")
    page.keyboard.press("z")
    expect(page.locator(".level")).to_have_text("fit")
    box = stage.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8)
    at = pan.evaluate("e => (e.scrollLeft + e.clientWidth * 0.8) / e.scrollWidth")
    assert at == pytest.approx(0.8, abs=0.02)


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


def test_the_heads_of_the_matrix_stay_in_sight(page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 500})
    page.click("nav >> text=Matrix")
    table = page.locator("#matrix-table")
    expect(table.locator("tbody tr")).to_have_count(4)
    page.locator("#matrix .scroll").evaluate("e => e.scrollTo(120, 300)")
    expect(table.locator("thead th").nth(1)).to_be_in_viewport(ratio=0.9)
    box, corner = (
        table.locator("tbody th").last.bounding_box(),
        page.locator("#matrix .scroll").bounding_box(),
    )
    assert box is not None
    assert corner is not None
    assert box["x"] == pytest.approx(corner["x"], abs=1)


def test_a_sparse_matrix_has_no_empty_cells(browser: Browser, tmp_path: Path) -> None:
    run = Storage.at(str(tmp_path))
    pairs = [
        generated(run, f"r{n}", seed=n, content=f"/c{n}.png", styles=[f"/s{n}.png"])
        for n in range(5)
    ]
    commit(run, *pairs)
    reported(run, Storage.at(str(tmp_path / "report")))
    page = opened(browser, (tmp_path / "report/index.html").as_uri(), [])
    page.click("nav >> text=Matrix")
    cells = page.locator("#matrix-table td")
    expect(cells).to_have_count(5)
    assert cells.locator(".name").all_inner_texts() == [f"s{n}" for n in range(5)]
    page.context.close()


def test_a_hostile_row_is_shown_as_text(page: Page) -> None:
    page.fill("#q", "onerror")
    expect_found(page, "1 of 80 rows")
    card = page.locator("#cards .card")
    expect(card.locator(".open")).to_have_text(HOSTILE)
    card.locator(".open").click()
    expect(page.locator("#detail-title")).to_have_text(HOSTILE)
    expect(page.locator("#detail .prompt")).to_have_text(HOSTILE)
    (target,) = page.locator("#detail a").evaluate_all("all => all.map(a => a.href)")
    assert "/run/images/" in target
    assert target.startswith("file:")
    assert page.locator("svg[onload], img[onerror]").count() == 0
