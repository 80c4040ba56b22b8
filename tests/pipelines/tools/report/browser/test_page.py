"""The page as a whole: from a server, colours, small screens, accessibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pipelines.tools.report.browser.conftest import expect_found, opened

pytestmark = pytest.mark.browser


def test_the_page_works_from_a_web_server(browser: Browser, served: str) -> None:
    problems: list[str] = []
    page = opened(browser, served, problems)
    expect_found(page, "80 rows")
    page.fill("#q", "house")
    expect_found(page, "19 of 80 rows")
    page.wait_for_load_state("networkidle")
    broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).length")
    page.context.close()
    assert (problems, broken) == ([], 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system(browser: Browser, report: Path, scheme: Any) -> None:
    url = (report / "index.html").as_uri()
    page = opened(browser, url, [], color_scheme=scheme, reduced_motion="reduce")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (max(levels) < 60) == (scheme == "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.context.close()


def test_a_phone_does_not_scroll_sideways(browser: Browser, report: Path) -> None:
    page = opened(
        browser,
        (report / "index.html").as_uri(),
        [],
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
    )
    overflow = "document.documentElement.scrollWidth - innerWidth"
    for view in ("Numbers", "Matrix", "Pictures"):
        page.click(f"nav >> text={view}")
        assert page.evaluate(overflow) <= 0
        if view == "Numbers":
            label = page.locator("#distances caption").bounding_box()
            assert label is not None
            assert label["x"] + label["width"] <= 360
    page.click("#more-toggle")
    assert page.evaluate(overflow) <= 0
    page.click("#more-toggle")
    page.locator("#cards .open").nth(3).click()
    expect(page.locator("#detail")).to_be_visible()
    dialog = page.locator("#detail")
    assert dialog.evaluate("d => d.scrollWidth - d.clientWidth") <= 0
    page.context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_pictures_are_on_the_first_screen(
    browser: Browser, report: Path, width: int, height: int
) -> None:
    url = (report / "index.html").as_uri()
    page = opened(
        browser, url, [], viewport={"width": width, "height": height}, is_mobile=width < 500
    )
    card = page.locator("#cards .card").first
    box = card.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < height / 2
    assert card.locator("img").first.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    names = page.locator("#cards .names").first
    expect(names).to_be_in_viewport(ratio=1)
    page.context.close()


def test_without_javascript_the_numbers_are_there(browser: Browser, report: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((report / "index.html").as_uri())
    expect(page.locator("#summary .figures")).to_be_visible()
    expect(page.locator(".notice")).to_contain_text("need JavaScript")
    expect(page.locator("#filters")).to_be_hidden()
    page.context.close()


def test_every_control_has_a_name_and_every_image_a_description(page: Page) -> None:
    nameless = page.evaluate(
        """[...document.querySelectorAll("input, select, button")].filter((one) =>
             !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).length"""
    )
    assert nameless == 0
    assert page.locator("img:not([alt])").count() == 0
