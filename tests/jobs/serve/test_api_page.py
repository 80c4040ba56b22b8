"""The page at `/docs`, and the description of the routes that it shows."""

from __future__ import annotations

import re

import httpx2
import pytest
from playwright.sync_api import expect

from tests.chromium import chromium
from tests.jobs.serve.running import Running


def test_the_page_names_files_of_this_server_alone(server: Running) -> None:
    page = httpx2.get(f"{server.url}/docs")
    names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(names) == 4
    for name in names:
        answer = httpx2.get(f"{server.url}/{name}")
        assert (answer.status_code, len(answer.content) > 50) == (200, True)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert httpx2.get(f"{server.url}/docs/nothing.js").status_code == 404


def test_the_description_says_how_to_send_a_key(server: Running) -> None:
    described = httpx2.get(f"{server.url}/openapi.json").json()
    scheme = described["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert described["security"] == [{"key": []}]


@pytest.mark.browser
def test_the_page_shows_the_routes(server: Running) -> None:
    outside: list[str] = []
    problems: list[str] = []
    with chromium() as browser, browser.new_page() as page:
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((server.url, "data:"))
                else outside.append(request.url)
            ),
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{server.url}/docs")
        route = page.get_by_role("link", name="/api/v3/predictions/delete")
        expect(route.first).to_be_visible(timeout=20_000)
        expect(page.locator("button.authorize").first).to_be_visible()
    assert (outside, problems) == ([], [])
