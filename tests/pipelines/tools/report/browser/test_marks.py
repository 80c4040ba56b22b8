"""Marks by keyboard and mouse, where they are kept, and the files of ids that they become."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.manifest.chosen_ids import read_ids
from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.browser.conftest import HOSTILE, expect_found, ids, opened
from tests.pipelines.tools.report.outputs import commit, generated, reported

pytestmark = pytest.mark.browser

ODD = [' "quoted", id', "two\r\nlines", "=cmd|' /C calc'!A0", "é\u202e", HOSTILE]


def saved(page: Page, folder: Path) -> tuple[str, frozenset[str]]:
    """Save the ids of the open dialog; returns the name of the file, and the ids that uso reads."""
    with page.expect_download() as download:
        page.click("#save-ids")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path.name, read_ids(str(path), {}).ids


def marked(page: Page, mark: str) -> list[str]:
    return page.locator(f"#cards .card.is-{mark} .open").all_inner_texts()


def test_keys_select_star_and_reject(page: Page, tmp_path: Path) -> None:
    page.locator("#cards .open", has_text="row-00").focus()
    page.keyboard.press("s")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#choice-open")).to_have_text("★ 1  ✕ 1  ✓ 3")
    assert marked(page, "starred") == ["row-00"]
    assert marked(page, "rejected") == ["row-01"]
    assert marked(page, "selected") == ["row-02", "row-03", "row-04"]
    page.reload()
    expect(page.locator("#choice-open")).to_have_text("★ 1  ✕ 1  ✓ 3")
    expect(page.locator(".card.is-selected")).to_have_count(3)
    page.keyboard.press("v")
    expect_found(page, "3 of 80 rows")
    boxes = [card.bounding_box() for card in page.locator("#cards .card").all()]
    assert max(box["y"] + box["height"] for box in boxes if box) <= 720
    page.keyboard.press("v")
    expect_found(page, "80 rows")
    page.keyboard.press("e")
    assert saved(page, tmp_path) == ("run-starred.csv", frozenset({"row-00"}))
    page.check("#choice [value=selected]")
    assert saved(page, tmp_path)[1] == {"row-02", "row-03", "row-04"}
    page.check("#choice [value=shown]")
    assert len(saved(page, tmp_path)[1]) == 80
    page.keyboard.press("Escape")
    page.click("#more-toggle")
    page.select_option("#marks", "unmarked")
    expect_found(page, "78 of 80 rows")
    page.click("#more-toggle")
    page.locator("#cards .open").first.focus()
    page.keyboard.press("d")
    expect(page.locator("#choice-open")).to_have_text("★ 1  ✕ 1")


def test_the_mouse_marks_too_and_the_details_show_it(page: Page) -> None:
    first, third = page.locator("#cards .card").nth(1), page.locator("#cards .card").nth(3)
    first.hover()
    first.locator(".mark.starred").click()
    first.locator(".open").click(modifiers=["Control"])
    third.locator(".open").click(modifiers=["Shift"])
    expect(page.locator("#choice-open")).to_have_text("★ 1  ✓ 3")
    first.locator(".open").click()
    dialog = page.locator("#detail")
    expect(dialog.locator(".mark.starred")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("x")
    expect(dialog.locator(".mark.rejected")).to_have_attribute("aria-pressed", "true")
    expect(dialog.locator(".mark.starred")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("u")
    expect(page.locator("#choice-open")).to_have_text("✓ 2")


def test_ids_of_any_text_are_exported_as_uso_reads_them(browser: Browser, tmp_path: Path) -> None:
    run = Storage.at(str(tmp_path / "it's $(odd)"))
    commit(run, *(generated(run, row_id, seed=n) for n, row_id in enumerate(ODD)))
    reported(run, Storage.at(run.uri("report")))
    problems: list[str] = []
    page = opened(browser, Path(run.uri("report/index.html")).as_uri(), problems)
    page.locator("#cards .open").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    expect(page.locator("#choice-open")).to_have_text("✓ 5")
    page.keyboard.press("e")
    name, found = saved(page, tmp_path)
    assert (name, found) == ("it-s-odd-selected.csv", frozenset(ODD))
    commands = page.locator("#choice code").all_inner_texts()
    assert commands == [
        f"uso manifest again.parquet --chosen CONFIG --ids {name} --new-seeds",
        f"uso run CONFIG --ids {name}",
        "uso pack '"
        + run.uri().replace("'", "'\"'\"'")
        + f"' --layout folder --ids {name} --to it-s-odd-selected",
    ]
    expect(page.locator("#choice")).to_contain_text("CONFIG is the YAML file of the run.")
    assert page.evaluate("window.hacked") is None
    page.context.close()
    assert problems == []


def test_reports_on_one_disk_keep_their_marks_apart(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    pages = []
    for name in ("one", "two"):
        run = Storage.at(str(tmp_path / name))
        commit(run, generated(run, "a"))
        reported(run, Storage.at(run.uri("report")))
        page = context.new_page()
        page.goto(Path(run.uri("report/index.html")).as_uri())
        expect(page.locator("#cards .open")).to_be_visible()
        pages.append(page)
    pages[0].locator("#cards .open").focus()
    pages[0].keyboard.press("s")
    expect(pages[0].locator("#choice-open")).to_have_text("★ 1")
    pages[1].reload()
    expect(pages[1].locator("#cards .open")).to_be_visible()
    expect(pages[1].locator("#choice-open")).to_have_text("Choice")
    # Another report on the same run is the same choice.
    reported(Storage.at(str(tmp_path / "one")), Storage.at(str(tmp_path / "one/report")))
    pages[0].reload()
    expect(pages[0].locator(".card.is-starred")).to_have_count(1)
    # Whatever else stands under the key, the page starts.
    pages[0].evaluate("for (const key of Object.keys(localStorage)) localStorage[key] = '[1'")
    pages[0].reload()
    expect(pages[0].locator("#cards .open")).to_be_visible()
    expect(pages[0].locator("#choice-open")).to_have_text("Choice")
    assert ids(pages[0]) == ["a"]
    context.close()
