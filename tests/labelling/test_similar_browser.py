"""Neighbours and verdicts in a real browser: walked by keyboard, judged, readable, in the width of a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelling.store import Store
from labelling.store.triplets import read_triplets
from modules.similarity_quality.triplets import Question, Triplet, standing
from tests.browsing import CONTRAST, TOO_WIDE, Watched
from tests.labelling import alike
from tests.labelling.serving import Server, serving
from tests.modules.reporting.sample import HOSTILE

pytestmark = pytest.mark.browser

NAMELESS = """some => some.filter((e) => !(e.innerText || e.ariaLabel || e.labels?.length
  || e.querySelector("img[alt]:not([alt=''])"))).map((e) => e.outerHTML)"""
FOCUSED = "() => document.activeElement.closest('.near-by')?.dataset.id ?? ''"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    alike.write_indexes(tmp_path / "index", special=list(HOSTILE))
    with Store(str(tmp_path / "labels.sqlite")) as store:
        alike.fill(store, tmp_path / "images", questions=4, special=list(HOSTILE))
    return tmp_path


@pytest.fixture
def server(place: Path) -> Iterator[Server]:
    options = ("--annotator", "ann", "--index", str(place / "index"))
    with serving(str(place / "labels.sqlite"), *options) as found:
        yield found


def verdicts(place: Path) -> list[Triplet]:
    with Store(str(place / "labels.sqlite")) as store, store.read() as connection:
        return list(read_triplets(connection))


def said(page: Any) -> str:
    return str(page.inner_text("#said"))


def test_walk_on_and_compare_by_keyboard(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/similar?id=p31&k=6")
    page = watched.page
    joint, image = (alike.nearest(place / "index", method, "p31", 6) for method in ("joint", "image"))
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == joint[0]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == joint[1]
    page.keyboard.press("Space")
    assert "with …" in said(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == image[2]
    page.keyboard.press("Space")
    assert page.locator("#verdicts button").count() == 4
    page.keyboard.press("b")
    page.wait_for_function("() => document.getElementById('said').textContent.startsWith('Kept')")
    (kept,) = verdicts(place)
    assert (kept.query, kept.a, kept.b, kept.verdict) == ("p31", joint[1], image[2], "b")
    assert (kept.annotator, kept.methods) == ("ann", ("joint", "image"))
    assert page.is_hidden("#verdicts")
    # The box of the tile under the focus does the same; Escape compares none.
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("[name=pick]:checked").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("[name=pick]:checked").count() == 0
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/similar?id={image[1]}*")
    assert page.get_attribute(".asked", "data-id") == image[1]
    # The way here leads back.
    page.click("#trail a")
    page.wait_for_url("**/similar?id=p31*")
    assert watched.wrong == []


def test_a_product_that_several_methods_found_is_one_product(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/similar?id=p31&k=50")
    page = watched.page
    name = alike.nearest(place / "index", "joint", "p31", 1)[0]
    tiles = page.locator(f'.near-by[data-id="{name}"]')
    assert tiles.count() >= 3
    tiles.first.hover()
    assert page.locator(".near-by.same").count() == tiles.count()
    assert "also by" in tiles.first.inner_text()
    # Ticked in two columns, it still is one of the two.
    tiles.nth(0).locator("[name=pick]").check()
    tiles.nth(1).locator("[name=pick]").check()
    assert page.is_hidden("#verdicts") and page.locator("[name=pick]:checked").count() == 1
    assert watched.wrong == []


def test_only_in_a_category_by_keyboard(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/similar?id=p31&k=6")
    page = watched.page
    page.keyboard.press("/")
    page.keyboard.type("tot")
    page.wait_for_function("() => document.querySelector('#categories option')?.value === 'Bags > Totes'")
    page.fill("#category", "Bags > Totes")
    page.keyboard.press("Enter")
    page.wait_for_url("**category=Bags*")
    shown = page.locator(".shelf[data-method=joint] .near-by").evaluate_all("some => some.map((e) => e.dataset.id)")
    assert shown == alike.nearest(place / "index", "joint", "p31", 6, "Bags > Totes")
    # Walking on stays in the category.
    page.locator(".walk").first.click()
    page.wait_for_url(f"**/similar?id={shown[0]}*category=Bags*")
    assert watched.wrong == []


def test_triplets_are_judged_by_keyboard_and_may_be_judged_again(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/judge")
    page = watched.page
    asked = []
    for key in ("a", "ArrowRight", "2", "ArrowDown"):
        shown = [page.input_value(f"#trio [name={name}]") for name in ("query", "a", "b")]
        assert page.locator("#trio img").count() == 3
        asked.append(Question(*shown))
        with page.expect_navigation():
            page.keyboard.press(key)
    assert "Nothing left to judge" in page.inner_text("main")
    assert [one.verdict for one in verdicts(place)] == ["a", "b", "both", "neither"]
    assert [(one.query, one.a, one.b) for one in verdicts(place)] == [(one.query, one.a, one.b) for one in asked]
    with page.expect_navigation():
        page.keyboard.press("u")
    with page.expect_navigation():
        page.keyboard.press("a")
    again = verdicts(place)
    assert len(again) == 5 and len(standing(again)) == 4
    assert (again[-1].query, again[-1].a, again[-1].verdict) == (asked[-1].query, asked[-1].a, "a")
    assert watched.wrong == []


def test_hostile_titles_are_text(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/similar?id=p0&k=50")
    page = watched.page
    for number, text in enumerate(HOSTILE[:6]):
        page.goto(f"{server.url}/similar?id=p{number + 1}&k=50")
        title = HOSTILE[number + 1]
        assert "".join(title.split()) in "".join(page.inner_text(".asked h1").split())
        assert page.query_selector("script:not([src])") is None, text
    page.locator("[name=pick]").nth(0).check()
    page.locator("[name=pick]").nth(2).check()
    page.goto(f"{server.url}/judge?query=p0&a=p1&b=p2")
    assert HOSTILE[1] in page.inner_text(".trio .a")
    assert watched.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1180, 800), (320, 740)], ids=["desk", "phone"])
def test_the_pages_are_readable(browser: Any, server: Server, scheme: str, size: tuple[int, int]) -> None:
    viewport = {"width": size[0], "height": size[1]}
    watched = Watched(browser, server.url, "/similar", color_scheme=scheme, viewport=viewport)
    page = watched.page
    for path in ("/similar", "/similar?id=p31&category=Shoes", "/judge", "/judge?query=p1&a=p2&b=p3"):
        page.goto(server.url + path)
        if "id=" in path:
            for number in (0, 1):
                page.locator("[name=pick]").nth(number).check()
            assert page.is_visible("#verdicts")
        judged, poor = page.evaluate(CONTRAST)
        assert judged > 5 and poor == [] and page.evaluate(TOO_WIDE, size[0]) == [], path
        # Everything that can be pressed has a name.
        nameless = page.locator("main a, main button, main input:not([type=hidden]), main select").evaluate_all(
            NAMELESS
        )
        assert nameless == []
    assert watched.wrong == []


def test_without_a_script_two_boxes_lead_to_the_question(browser: Any, place: Path, server: Server) -> None:
    watched = Watched(browser, server.url, "/similar?id=p31&k=6", java_script_enabled=False)
    page = watched.page
    boxes = page.locator("[name=pick]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.click("#compare-go")
    joint = alike.nearest(place / "index", "joint", "p31", 2)
    page.click("#trio button[value=both]")
    page.wait_for_url("**/similar?id=p31*")
    (kept,) = verdicts(place)
    assert (kept.query, kept.a, kept.b, kept.verdict) == ("p31", *joint, "both")
    assert kept.methods == ("joint", "joint")
