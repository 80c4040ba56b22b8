"""The page at `/` in a real browser, with a real server that draws with the tiny model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from jobs.serve.actors import worker_spec
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.stylizer import Stylizer
from tests.chromium import chromium
from tests.jobs.serve.playground_site import Site, a_file, ask, expect_state, png, signed_in
from tests.jobs.serve.running import config_for, running
from tests.pipelines.tiny_models import tiny

pytestmark = pytest.mark.browser

DROP = """([selector, bytes, type]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
  const event = type === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(event);
}"""
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = config_for(tmp_path_factory.mktemp("serve"))
    stylizer = Stylizer(worker_spec(config), pipeline=tiny())
    gate = threading.Event()

    def work(row: ManifestRow) -> Outcome:
        if "hold" in row.prompt:
            assert gate.wait(30)
        return stylizer.stylize(row)

    with running(config, work) as server:
        yield Site(server, gate)
        gate.set()
    stylizer.close()


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """Return the server; a problem in the browser fails the test."""
    shared.gate.clear()
    shared.problems.clear()
    yield shared
    shared.gate.set()
    assert shared.problems == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_picture_from_upload_to_download(site: Site, context: BrowserContext) -> None:
    page = signed_in(site, context)
    page.set_input_files("#content input", a_file("cat.png", png(1)))
    page.evaluate(DROP, ["#styles", list(png(2)), "drop"])
    page.evaluate(DROP, ["body", list(png(3)), "paste"])
    expect(page.locator("#styles li")).to_have_count(2)
    ask(page, 'a cat\'s "snow"', seed="5")
    expect_state(page, "Done")
    row = site.server.rows[-1]
    assert (row.content_image, [*row.style_images]) == (png(1), [png(2), png(3)])
    given = row.parameters
    assert (given.width, given.height, given.seed, given.num_steps) == (32, 48, 5, 2)
    over = page.locator(".stage .over")
    expect(over).to_be_visible()
    assert over.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [32, 48]
    border = page.get_by_label("Border between before and after")
    widths = [each.evaluate("e => Math.round(e.offsetWidth)") for each in (border, over)]
    assert widths[0] == widths[1] > 0
    border.press("ArrowRight")
    assert "51%" in str(over.evaluate("i => i.style.clipPath"))
    with page.expect_download() as waited:
        page.click("#download")
    assert Path(waited.value.path()).read_bytes()[:4] == b"\x89PNG"
    assert waited.value.suggested_filename.endswith(".png")

    page.fill("#prompt", "something else")
    page.click("#again")
    expect(page.locator("#prompt")).to_have_value('a cat\'s "snow"')
    expect(page.locator("#seed")).to_have_value("5")
    expect(page.locator("#styles li")).to_have_count(2)
    before = len(site.server.rows)
    page.click("#generate")
    expect(page.locator("#history li")).to_have_count(2)
    expect_state(page, "Done")
    assert site.server.rows[before].style_images == row.style_images


def test_the_snippets_send_the_same_request(site: Site, context: BrowserContext) -> None:
    page = signed_in(site, context)
    page.evaluate(DROP, ["#styles", list(png(2)), "drop"])
    ask(page, 'a cat\'s $HOME \\n "é"\nin two lines', seed="7")
    expect_state(page, "Done")
    page.click("text=This request as code")
    curl, python = page.inner_text("#curl"), page.inner_text("#python")
    assert site.server.secret not in curl + python
    env = {**os.environ, "USO_API_KEY": site.server.secret}
    mine = site.server.rows[-1]
    subprocess.run([sys.executable, "-c", python], env=env, check=True, capture_output=True)
    theirs = [site.server.rows[-1]]
    ran = subprocess.run(["bash", "-c", curl], env=env, check=True, capture_output=True, text=True)
    with site.server.client() as http:
        task = ran.stdout.partition('"id":"')[2].partition('"')[0]
        assert http.get(f"/tasks/{task}/stream").status_code == 200
    theirs.append(site.server.rows[-1])
    for row in theirs:
        assert (row.prompt, row.parameters) == (mine.prompt, mine.parameters)
        assert row.style_images == mine.style_images


def test_queue_cancel_and_a_reload_half_way(site: Site, context: BrowserContext) -> None:
    page = signed_in(site, context)
    ask(page, "hold <img src=x onerror=alert(1)>")
    expect_state(page, "Generating")
    for number in range(6):
        ask(page, f"hold {number}")
        expect(page.locator("#history li")).to_have_count(number + 2)
    expect(page.locator("#state")).to_contain_text("before this one")
    page.click("#cancel")
    expect_state(page, "Cancelled")
    expect(page.locator("#cancel")).to_be_hidden()

    page.reload()
    expect(page.locator("#history li")).to_have_count(7)
    page.click("#history li:last-child button")
    expect_state(page, "Generating")
    site.gate.set()
    expect_state(page, "Done")
    expect(page.locator("#history").get_by_text("Done")).to_have_count(6)


def test_errors_are_shown_with_their_texts(site: Site, context: BrowserContext) -> None:
    page = site.open(context)
    page.fill("#key", "uso_wrong")
    page.click("text=Use this key")
    expect(page.locator("#key-error")).to_have_text("this API key is unknown or revoked")
    page.fill("#key", site.server.secret)
    page.click("text=Use this key")
    expect(page.locator("#key-form")).to_be_hidden()
    page.click("text=Generate")
    expect(page.locator("#request-error")).to_contain_text("the request is empty")
    expect(page.locator("#prompt")).to_be_focused()
    page.set_input_files("#content input", a_file("x.png", b"no picture"))
    ask(page, "a cat")
    expect_state(page, "Failed")
    expect(page.locator("#task-error")).to_contain_text("input.content_image (x.png)")
    page.set_input_files("#content input", a_file("notes.txt", b"no picture", "text/plain"))
    expect(page.locator("#request-error")).to_have_text("notes.txt is not an image.")
    page.click("#content li button")
    page.evaluate("document.querySelector('#width').step = 'any'")  # past the browser's own check
    ask(page, "a cat", width="33")
    expect(page.locator("#request-error")).to_contain_text("width")
    expect(page.locator("#request-error")).to_contain_text("33")


def test_a_lost_answer_gives_one_task(site: Site, context: BrowserContext) -> None:
    page = signed_in(site, context)

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/apps/run", lose)
    ask(page, "a lost cat")
    expect(page.locator("#request-error")).to_contain_text("The server does not answer")
    page.unroute("**/apps/run")
    page.reload()
    expect_state(page, "Done")
    expect(page.locator("#history li")).to_have_count(1)
    assert [row.prompt for row in site.server.rows].count("a lost cat") == 1


def test_a_request_is_sent_once_while_the_page_still_loads(
    site: Site, context: BrowserContext
) -> None:
    page = site.open(context)
    lists: list[Route] = []
    posts: list[Route] = []
    # Playwright cannot call a method of a built-in type.
    page.route("**/tasks/list", lambda route: lists.append(route))  # noqa: PLW0108
    page.route("**/apps/run", lambda route: posts.append(route))  # noqa: PLW0108
    page.fill("#key", site.server.secret)
    page.click("text=Use this key")
    expect(page.locator("#key-form")).to_be_hidden()
    ask(page, "an early cat")
    with page.expect_response("**/tasks/list"):
        lists[0].continue_()
    page.wait_for_timeout(300)  # the rest of the start runs now
    assert len(posts) == 1
    posts[0].continue_()
    expect_state(page, "Done")


def test_a_key_stays_in_the_tab_unless_asked(site: Site, context: BrowserContext) -> None:
    page = signed_in(site, context)
    stored = "[...Object.values(localStorage), ...Object.keys(localStorage)].join()"
    assert site.server.secret not in page.evaluate(stored)
    page.reload()
    expect(page.locator("#change-key")).to_be_visible()
    other = site.open(context)
    expect(other.locator("#key-form")).to_be_visible()
    page.click("#change-key")
    page.fill("#key", site.server.secret)
    page.check("#remember")
    page.click("text=Use this key")
    expect(page.locator("#key-form")).to_be_hidden()
    other.reload()
    expect(other.locator("#change-key")).to_be_visible()


def test_the_keyboard_alone_is_enough(site: Site, context: BrowserContext) -> None:
    page = site.open(context)
    keys = page.keyboard
    page.on("filechooser", lambda chooser: chooser.set_files(a_file("cat.png", png(4))))
    keys.type(site.server.secret)  # the field has the focus
    keys.press("Enter")
    expect(page.locator("#prompt")).to_be_focused()
    keys.type("a cat")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#content li")).to_have_count(1)
    while page.evaluate("document.activeElement.id") != "width":
        keys.press("Tab")
    keys.type("32")
    keys.press("Tab")
    keys.type("32")
    keys.press("Control+Enter")
    expect_state(page, "Done")
    ids = []
    for _ in range(40):
        keys.press("Tab")
        ids.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"download", "again", "forget"} <= set(ids)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, a, input, select, textarea")].filter(e =>
        !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_does_not_scroll_sideways(site: Site, browser: Browser, scheme: Any) -> None:
    with browser.new_context(**PHONE, color_scheme=scheme) as context:
        page = signed_in(site, context)
        page.evaluate(DROP, ["#content", list(png(1)), "drop"])
        ask(page, "a" * 300)
        expect_state(page, "Done")
        page.click("text=This request as code")
        page.click("text=More settings")
        assert fits(page)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        levels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        assert (max(levels) < 60) == (scheme == "dark")
