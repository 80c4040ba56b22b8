"""The report as a person uses it, in a real browser: `make test-browser`."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from pipelines.storage.storage import Storage
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import commit, failed, generated, reported

pytestmark = pytest.mark.browser

HOSTILE = '</script><img src=x onerror="window.hacked=1"><svg onload=window.hacked=1>\'"&'
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STYLES = ("sunflowers", "wave", "scream")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no chromium; on Debian: apt-get install -y chromium"
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=FLAGS) as browser,
    ):
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 rows in two runs, one row hostile, some failed; the report's folder."""
    root = tmp_path_factory.mktemp("site")
    run, other = Storage.at(str(root / "run")), Storage.at(str(root / "other"))
    references = {}
    for n, name in enumerate((*STYLES, "cat", "dog", "house", "tree")):
        references[name] = root / f"{name}.png"
        references[name].write_bytes(encode(picture(seed=n)))
    contents = ("cat", "dog", "house", "tree")
    columns: list[dict[str, Any]] = [
        {
            "content": str(references[contents[n // 3 % 4]]),
            "styles": [str(references[STYLES[n % 3]])],
            "prompt": f"picture {n} of a {contents[n // 3 % 4]}",
            "score": n / 100,
            "at": n,
        }
        for n in range(79)
    ]
    rows = [
        failed(f"row-{n:02d}", **own) if n % 20 == 7 else generated(run, f"row-{n:02d}", **own)
        for n, own in enumerate(columns)
    ]
    hostile = generated(run, HOSTILE, prompt=HOSTILE, content="javascript:alert(1)", note=HOSTILE)
    commit(run, hostile, *rows)
    theirs = [generated(other, f"row-{n:02d}", seed=n % 2, **columns[n]) for n in range(40)]
    commit(other, *theirs)
    reported(run, Storage.at(str(root / "run/report")), other)
    return root / "run/report"


@pytest.fixture
def served(report: Path) -> Iterator[str]:
    """The report at an http URL, as a bucket would give it."""
    handler = functools.partial(Quiet, directory=str(report.parent.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/run/report/index.html"
        server.shutdown()
        thread.join()


def opened(browser: Browser, url: str, problems: list[str], **context: Any) -> Page:
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: note_failure(request, problems))
    page.goto(url)
    expect(page.locator("#cards .card").first).to_be_visible()
    return page


def note_failure(request: Request, problems: list[str]) -> None:
    # A reload cancels what is still being loaded.
    if request.failure != "net::ERR_ABORTED":
        problems.append(f"{request.url}: {request.failure}")


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The page, opened from disk; whatever went wrong in it fails the test."""
    problems: list[str] = []
    page = opened(browser, (report / "index.html").as_uri(), problems)
    yield page
    hacked = page.evaluate("window.hacked")
    page.context.close()
    assert (problems, hacked) == ([], None)


def ids(page: Page) -> list[str]:
    return page.locator("#cards .open").all_inner_texts()


def found(page: Page, text: str) -> None:
    expect(page.locator("#found")).to_have_text(text)


def test_it_works_from_a_server_too(browser: Browser, served: str) -> None:
    problems: list[str] = []
    page = opened(browser, served, problems)
    found(page, "80 rows")
    page.fill("#q", "house")
    found(page, "19 of 80 rows")
    page.wait_for_load_state("networkidle")
    broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).length")
    page.context.close()
    assert (problems, broken) == ([], 0)


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


def test_pairs_that_differ_are_found_from_the_summary(page: Page) -> None:
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


def test_filters_find_what_they_say_and_are_in_the_address(page: Page) -> None:
    found(page, "80 rows")
    page.fill("#q", "PICTURE house")
    found(page, "19 of 80 rows")
    page.select_option("#status", "failed")
    found(page, "2 of 80 rows")
    assert ids(page) == ["row-07", "row-67"]
    page.click("text=Clear")
    found(page, "80 rows")
    page.select_option("#style", label="wave.png (26)")
    found(page, "26 of 80 rows")
    page.click("text=Clear")
    page.fill("#min", "0.7")
    page.fill("#max", "0.75")
    found(page, "6 of 80 rows")
    page.select_option("#order", label="score, highest first")
    expect(page.locator("#cards .open").first).to_have_text("row-75")
    assert ids(page) == [f"row-{n}" for n in range(75, 69, -1)]
    page.reload()
    found(page, "6 of 80 rows")
    assert page.input_value("#min") == "0.7"
    page.click("text=Clear")
    page.fill("#q", "no such thing")
    expect(page.locator(".empty")).to_be_visible()


def test_failures_lead_to_their_rows(page: Page) -> None:
    page.click(".failures a")
    found(page, "4 of 80 rows")
    assert ids(page) == ["row-07", "row-27", "row-47", "row-67"]


def test_pages_are_turned(page: Page) -> None:
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


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("dog")
    found(page, "21 of 80 rows")
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
    found(page, "18 of 80 rows")


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


def test_a_hostile_row_is_only_text(page: Page) -> None:
    page.fill("#q", "onerror")
    found(page, "1 of 80 rows")
    card = page.locator("#cards .card")
    expect(card.locator(".prompt")).to_have_text(HOSTILE)
    card.locator(".open").click()
    expect(page.locator("#detail-title")).to_have_text(HOSTILE)
    (target,) = page.locator("#detail a").evaluate_all("all => all.map(a => a.href)")
    assert "/run/images/" in target
    assert target.startswith("file:")
    assert page.locator("svg[onload], img[onerror]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system(browser: Browser, report: Path, scheme: Any) -> None:
    url = (report / "index.html").as_uri()
    page = opened(browser, url, [], color_scheme=scheme, reduced_motion="reduce")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (max(levels) < 60) == (scheme == "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.context.close()


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, report: Path) -> None:
    page = opened(
        browser,
        (report / "index.html").as_uri(),
        [],
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
    )
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    label = page.locator("#distances caption").bounding_box()
    assert label is not None
    assert label["x"] + label["width"] <= 360
    page.locator("#cards .open").nth(3).click()
    expect(page.locator("#detail")).to_be_visible()
    dialog = page.locator("#detail")
    assert dialog.evaluate("d => d.scrollWidth - d.clientWidth") <= 0
    page.context.close()


def test_every_control_has_a_name_and_every_image_a_description(page: Page) -> None:
    nameless = page.evaluate(
        """[...document.querySelectorAll("input, select, button")].filter((one) =>
             !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).length"""
    )
    assert nameless == 0
    assert page.locator("img:not([alt])").count() == 0
