"""The report in a real browser: it sorts, filters, loads nothing, and runs no text of a feed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modules.reporting.page import write_report
from tests.modules.reporting.sample import HOSTILE
from tests.modules.reporting.test_page import report

pytestmark = pytest.mark.browser


def opened(browser: Any, path: Path) -> tuple[Any, list[str]]:
    """The page, and a list that everything that should not happen goes into."""
    page = browser.new_page()
    wrong: list[str] = []
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("request", lambda request: None if request.url == path.as_uri() else wrong.append(request.url))
    page.goto(path.as_uri())
    return page, wrong


def column(page: Any, number: int) -> list[str]:
    rows = "#categories-exclusive tbody tr:not([hidden])"
    return page.eval_on_selector_all(rows, f"rows => rows.map(r => r.cells[{number}].textContent.trim())")


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_a_hostile_page_does_nothing(browser: Any, tmp_path: Path, text: str) -> None:
    write_report(report(text), tmp_path / "r.html")
    page, wrong = opened(browser, tmp_path / "r.html")
    page.click("#categories-exclusive thead button >> nth=1")
    assert wrong == []
    # The policy holds even for what the page's own script would put in.
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.wait_for_function("document.images.length === 1")
    assert page.title() == "shop: run run-2" and any("Content Security Policy" in message for message in wrong)


def test_categories_can_be_sorted_and_filtered(browser: Any, tmp_path: Path) -> None:
    write_report(report("Boots", 25), tmp_path / "r.html")
    page, wrong = opened(browser, tmp_path / "r.html")
    button = page.locator("#categories-exclusive thead button >> nth=1")
    button.click()
    known = [float(cell.split()[0]) for cell in column(page, 1) if cell]
    assert known == sorted(known, reverse=True) and column(page, 1)[len(known) :] == [""] * 13
    assert page.get_attribute("#categories-exclusive thead th >> nth=1", "aria-sort") == "descending"
    button.click()
    known = [float(cell.split()[0]) for cell in column(page, 1) if cell]
    assert known == sorted(known) and column(page, 1)[0] != ""
    page.locator("#categories-exclusive thead button >> nth=7").click()
    # 24,000 is more than 3,000 although "3" comes after "2".
    assert column(page, 7)[:2] == ["24,000", "23,000"]
    page.fill("#categories-exclusive-filter", "boots 1")
    assert len(column(page, 0)) == 12 and "12 of 25" in page.inner_text("#categories-exclusive-shown")
    page.check("#categories-exclusive-measured")
    assert len(column(page, 0)) == 7
    assert wrong == []


def test_it_fits_a_narrow_window_and_dark_mode(browser: Any, tmp_path: Path) -> None:
    write_report(report("Clothing > Women > Dresses", 40), tmp_path / "r.html")
    page, _ = opened(browser, tmp_path / "r.html")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
