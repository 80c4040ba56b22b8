"""A server whose page is opened and used in a browser; faults of the page are noted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture


@dataclass
class Site:
    """A server whose worker holds rows with the word `hold` until `gate` is set."""

    server: Running
    gate: threading.Event
    problems: list[str] = field(default_factory=list)

    def open(self, context: BrowserContext) -> Page:
        """Open the page; each fault of it is noted."""
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: self.note(message.type, message.text))
        page.on("pageerror", lambda error: self.note("pageerror", str(error)))
        page.on("request", lambda request: self.check(request.url))
        page.goto(f"{self.server.url}/")
        return page

    def note(self, kind: str, text: str) -> None:
        # The browser itself writes a line for each answer that is an error.
        if not text.startswith("Failed to load resource"):
            self.problems.append(f"{kind}: {text}")

    def check(self, url: str) -> None:
        if not url.startswith((self.server.url, "blob:")) or self.server.secret in url:
            self.problems.append(f"request: {url}")


def signed_in(site: Site, context: BrowserContext, *, remember: bool = False) -> Page:
    page = site.open(context)
    page.fill("#key", site.server.secret)
    page.set_checked("#remember", remember)
    page.click("text=Use this key")
    expect(page.locator("#key-form")).to_be_hidden()
    return page


def ask(page: Page, prompt: str, **fields: str) -> None:
    page.fill("#prompt", prompt)
    for name, value in {"width": "32", "height": "48", "num_steps": "2", **fields}.items():
        page.fill(f"#{name}", value)
    page.click("#generate")


def expect_state(page: Page, text: str) -> None:
    expect(page.locator("#state")).to_have_text(text, timeout=20_000)


def png(seed: int) -> bytes:
    return encode(picture(seed=seed))


def a_file(name: str, data: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}
