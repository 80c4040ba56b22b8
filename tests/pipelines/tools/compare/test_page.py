"""The page of a comparison in a real browser: `make test-browser`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from jobs.cli import app
from tests.chromium import chromium
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.compare.outputs import write_output

HOSTILE = '</li><img src=x onerror="window.hacked=1"><svg onload=window.hacked=1>'
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two outputs; the orders by `style` and by `palette` differ."""
    folder = tmp_path_factory.mktemp("site")
    content = folder / "content.png"
    content.write_bytes(encode(picture(300, 200, seed=9)))
    named: dict[str, Any] = {"content": str(content), "styles": [str(content)], "prompt": HOSTILE}
    rows = ("one", "two", "three", HOSTILE)
    write_output(folder / "a", {row: {"style": 0.5, "palette": 0.5} for row in rows}, **named)
    there: dict[str, dict[str, float | None]] = {
        "one": {"style": 0.9, "palette": 0.1},
        "two": {"style": 0.2, "palette": 0.4},
        "three": {"style": 0.6, "palette": None},
        HOSTILE: {"style": 0.7, "palette": 0.9},
    }
    write_output(folder / "b", there, **named)
    arguments = ["compare", str(folder / "a"), str(folder / "b"), "--out", str(folder / "page")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return (folder / "page/index.html").as_uri()


def opened(browser: Browser, index: str, problems: list[str], width: int = 1200) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(index)
    return page


def order(page: Page) -> list[str]:
    return page.locator(".pair:visible h3").all_inner_texts()


def test_pairs_are_sorted_by_the_chosen_score(browser: Browser, index: str) -> None:
    problems: list[str] = []
    page = opened(browser, index, problems)
    expect(page.locator(".pair")).to_have_count(4)
    assert order(page) == ["two", "three", HOSTILE, "one"]
    page.get_by_label("Order").select_option("highest B − A first")  # noqa: RUF001
    assert order(page) == ["one", HOSTILE, "three", "two"]
    page.get_by_label("Sort by").select_option("Palette <b>distance</b>")
    assert order(page) == [HOSTILE, "two", "one"]  # `three` has no palette
    assert page.evaluate("Array.from(document.images).every((i) => i.naturalWidth > 0)")
    assert page.evaluate("window.hacked") is None
    assert problems == []
    page.context.close()


def test_it_fits_a_telephone(browser: Browser, index: str) -> None:
    page = opened(browser, index, [], width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.context.close()


def test_it_is_complete_without_javascript(browser: Browser, index: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(index)
    assert page.locator(".pair h3").all_inner_texts() == ["two", "three", HOSTILE, "one"]
    assert page.locator("tbody").first.inner_text().count("\n") >= 1
    page.context.close()
