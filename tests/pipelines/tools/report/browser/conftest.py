"""A report of two runs, and a real browser that shows it: `make test-browser`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from pipelines.storage.storage import Storage
from tests.chromium import chromium
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import commit, failed, generated, reported

HOSTILE = '</script><img src=x onerror="window.hacked=1"><svg onload=window.hacked=1>\'"&'
STYLES = ("sunflowers", "wave", "scream")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on 80 rows in two runs, with failed rows and a hostile one."""
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
    """The http URL of the report on a web server."""
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
    # A reload cancels requests that are still running.
    if request.failure != "net::ERR_ABORTED":
        problems.append(f"{request.url}: {request.failure}")


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The page, opened from disk; any problem on it fails the test."""
    problems: list[str] = []
    page = opened(browser, (report / "index.html").as_uri(), problems)
    yield page
    hacked = page.evaluate("window.hacked")
    page.context.close()
    assert (problems, hacked) == ([], None)


def ids(page: Page) -> list[str]:
    """Return the ids on the visible cards."""
    return page.locator("#cards .open").all_inner_texts()


def expect_found(page: Page, text: str) -> None:
    """Wait until the page states this number of rows."""
    expect(page.locator("#found")).to_have_text(text)
