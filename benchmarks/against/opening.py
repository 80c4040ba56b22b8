"""Opens a report in Chromium: `python -m benchmarks.against.opening INDEX.HTML`.

Prints the seconds until the first row is shown, and the CPU seconds of the page's main thread: the
medians of five openings, each in a browser context of its own.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

_TIMES = 5
_PATIENCE_MS = 120_000


def opening(browser: Browser, url: str) -> tuple[float, float]:
    """Return the wall seconds until the first row is shown, and the main thread's CPU seconds."""
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    began = time.perf_counter()
    page.goto(url, wait_until="commit", timeout=_PATIENCE_MS)
    page.wait_for_selector("#cards .card .open", timeout=_PATIENCE_MS)
    wall_s = time.perf_counter() - began
    metrics = session.send("Performance.getMetrics")["metrics"]
    cpu_s = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    context.close()
    return wall_s, cpu_s


def main() -> None:
    url = Path(sys.argv[1]).resolve().as_uri()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        ) as browser,
    ):
        found = [opening(browser, url) for _ in range(_TIMES)]
    wall_s, cpu_s = (median(values) for values in zip(*found, strict=True))
    print(f"{wall_s:.2f} s, {cpu_s:.2f} s of CPU on the main thread")


if __name__ == "__main__":
    main()
