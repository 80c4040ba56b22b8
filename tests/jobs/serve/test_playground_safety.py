"""The page at `/` with a safety check: flagged and withheld images, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.chromium import chromium
from tests.jobs.serve.playground_site import Site, a_file, ask, expect_state, png, signed_in
from tests.jobs.serve.running import config_for, running

pytestmark = pytest.mark.browser

LOW = 1e-6  # the tiny model's noise is over it


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@contextmanager
def site_with(folder: Path, mode: str) -> Iterator[Site]:
    config = config_for(folder, safety={"mode": mode, "threshold": LOW})
    with running(config) as server:
        site = Site(server, threading.Event())
        yield site
        assert site.problems == []


def test_a_withheld_image_is_blurred_and_cannot_be_downloaded(
    tmp_path: Path, context: BrowserContext
) -> None:
    with site_with(tmp_path, "withhold") as site:
        page = signed_in(site, context)
        page.set_input_files("#content input", a_file("cat.png", png(1)))
        ask(page, "a cat", seed="5")
        expect_state(page, "Withheld by the safety check")
        image = page.get_by_alt_text("A blurred image")
        expect(image).to_be_visible()
        assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [32, 48]
        expect(page.locator("#image .notice")).to_contain_text("It also flags harmless ones")
        expect(page.locator(".stage")).to_have_count(0)
        expect(page.locator("#download")).to_be_hidden()
        expect(page.locator("#task-error")).to_be_hidden()
        expect(page.locator("#history li")).to_contain_text("Withheld")


def test_a_flagged_image_is_shown_with_a_remark(tmp_path: Path, context: BrowserContext) -> None:
    with site_with(tmp_path, "flag") as site:
        page = signed_in(site, context)
        ask(page, "a cat", seed="5")
        expect_state(page, "Done")
        expect(page.locator("#image .notice")).to_contain_text("Flagged by the safety check")
        expect(page.locator("#download")).to_be_visible()
