"""The labelling page in a real browser, on a real server and store: by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from labelling.store import Store, accounts
from labelling.store import tables as t
from labelling.store.database import now
from labelling.store.rows import Label, append
from tests.browsing import Watched
from tests.labelling import shop
from tests.labelling.holding import holding
from tests.labelling.serving import serving
from tests.modules.reporting.sample import HOSTILE

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery staple"


class Page(Watched):
    """The labelling page."""

    def __init__(self, browser: Any, url: str, path: str = "/label"):
        super().__init__(browser, url, path)

    @property
    def product(self) -> str:
        """The product that is asked about; empty when there is none left."""
        form = self.page.query_selector("form.card")
        return form.get_attribute("data-product") if form else ""

    def press(self, key: str) -> None:
        """Presses a key, and waits for another product or none."""
        before = self.product
        self.page.keyboard.press(key)
        self.page.wait_for_function(
            """before => {
                const card = document.querySelector('form.card');
                return card ? card.dataset.product !== before : !document.getElementById('done').hidden;
            }""",
            arg=before,
        )

    def saved(self) -> None:
        """Waits until the server has acknowledged every answer."""
        self.page.wait_for_function("() => pending.length === 0")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "labels.sqlite")) as opened:
        yield opened


def labels(store: Store) -> list[tuple[str, str, str, str]]:
    """(product, category, value, annotator), oldest first."""
    with store.read() as connection:
        columns = (t.labels.c.product_id, t.labels.c.category, t.labels.c.value, t.labels.c.annotator)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(t.labels.c.id))]


def test_twenty_products_by_keyboard_undo_and_search(browser: Any, store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(22))
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        asked = []
        for number in range(17):
            asked.append(page.product)
            page.press("1" if number % 2 else "2")
        asked.append(page.product)
        page.press("0")
        asked.append(page.product)
        page.press("s")
        page.saved()
        assert asked == [f"p{i}" for i in range(19)]
        # The last answer was wrong.
        page.press("u")
        assert page.product == asked[-1]
        page.press("1")
        # Any other category by a piece of its path.
        page.page.keyboard.press("/")
        page.page.keyboard.type("tot")
        page.page.wait_for_selector("#hits li[aria-selected=true]")
        assert page.page.inner_text("#hits li[aria-selected=true]").replace("\xa0", " ") == "Bags > Totes"
        page.press("Enter")
        page.saved()
        rows = labels(store)
        assert [row[:3] for row in rows[:17]] == [
            (f"p{i}", shop.BOOTS if i % 2 else shop.SANDALS, "yes") for i in range(17)
        ]
        assert [(row[0], row[2]) for row in rows[17:]] == [
            ("p17", "none_of_these"), ("p18", "skip"), ("p18", "retracted"), ("p18", "yes"), ("p19", "yes"),
        ]  # fmt: skip
        assert rows[-1][1] == shop.TOTES and {row[3] for row in rows} == {"ann"}
        assert page.wrong == []


def test_what_another_classifier_suggests_is_taken_by_its_key(browser: Any, store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(2))
    with store.write() as connection:
        said = Label("p0", "exclusive", shop.TOTES, "yes", HOSTILE[0], shop.NOW, "model", confidence=0.5)
        append(connection, [said])
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        assert (
            page.page.inner_text("small.by").replace("\xa0", " ") == f"suggested by {HOSTILE[0]}, which is 50.0% sure"
        )
        page.press("l")
        page.saved()
        assert labels(store)[1:] == [("p0", shop.TOTES, "yes", "ann")]
        assert page.page.query_selector("small.by") is None
        assert page.wrong == []


def test_the_next_product_shows_at_once(browser: Any, store: Store, tmp_path: Path) -> None:
    """Preloaded: between the key and the next product there is no request to wait for."""
    shop.fill(store, shop.batch(6))
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        page.page.wait_for_function("() => ahead.length === 2")
        # The server is away from here on: what was loaded ahead is shown, what was answered is kept.
        page.page.route("**/*", lambda route: route.abort())
        for product in ("p1", "p2"):
            page.press("1")
            assert page.product == product
        assert labels(store) == []
        page.page.unroute("**/*")
        page.saved()
        assert [row[0] for row in labels(store)] == ["p0", "p1"]


def test_a_slow_server_asks_for_no_product_twice(browser: Any, store: Store, tmp_path: Path) -> None:
    """Products go on coming while answers wait to be saved, and none of those is asked for again."""
    shop.fill(store, shop.batch(70))
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        held: list[Any] = []
        page.page.route("**/label", lambda route: held.append(route))
        asked = []
        for _ in range(20):
            asked.append(page.product)
            page.press("1")
        assert asked == [f"p{i}" for i in range(20)]
        # Nobody answers for hours into a server that saves nothing: what is loaded ends.
        for _ in range(29):
            asked.append(page.product)
            page.press("1")
        page.page.wait_for_function("() => pending.length === 49 && ahead.length === 2 && !fetching")
        for _ in range(2):
            asked.append(page.product)
            page.press("1")
        asked.append(page.product)
        page.page.keyboard.press("1")
        page.page.wait_for_function("() => pending.length === 52")
        assert not page.product and page.page.query_selector("#done").is_hidden()
        assert labels(store) == []
        [first] = held
        page.page.route("**/label", lambda route: route.continue_())
        first.continue_()
        page.saved()
        page.page.wait_for_selector("form.card")
        assert [row[0] for row in labels(store)] == asked == [f"p{i}" for i in range(52)]
        assert page.product == "p52" and page.wrong == []


def test_near_duplicates_get_the_same_label(browser: Any, store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(3))
    shop.near(store, "p0", "twin", "p2")
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        page.page.keyboard.press("d")
        page.page.wait_for_function("() => document.querySelectorAll('[name=also]:checked').length === 2")
        page.press("1")
        assert page.product == "p1"
        page.press("2")
        page.page.wait_for_selector("#done:not([hidden])")
        page.saved()
        found = {row[0]: row[1] for row in labels(store)}
        assert found == {"p0": shop.BOOTS, "twin": shop.BOOTS, "p2": shop.BOOTS, "p1": shop.SANDALS}
        assert page.wrong == []


def test_two_annotators_at_once(browser: Any, store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(12))
    with store.write() as connection:
        accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
        for name in ("ann", "bob"):
            accounts.put(connection, name, now(), password=PASSWORD)
    with serving(str(tmp_path / "labels.sqlite"), "--accounts") as server:
        pages = {}
        for name in ("ann", "bob"):
            page = Page(browser, server.url)
            page.page.fill("#name", name)
            page.page.fill("#password", PASSWORD)
            page.page.keyboard.press("Enter")
            page.page.wait_for_selector("form.card")
            pages[name] = page
        seen: dict[str, set[str]] = {"ann": set(), "bob": set()}
        for _ in range(4):
            for name, page in pages.items():
                seen[name].add(page.product)
                page.press("1")
        for page in pages.values():
            page.saved()
            assert page.wrong == []
        assert not seen["ann"] & seen["bob"] and len(seen["ann"] | seen["bob"]) == 8
        by = {name: {row[0] for row in labels(store) if row[3] == name} for name in pages}
        assert by == seen


def test_hostile_titles_are_text(browser: Any, store: Store, tmp_path: Path) -> None:
    products = [shop.product(f"p{i}", title=text, description=text, brand=text) for i, text in enumerate(HOSTILE)]
    shop.fill(store, shop.batch(len(HOSTILE)), products=products)
    with serving(str(tmp_path / "labels.sqlite"), "--annotator", "ann") as server:
        page = Page(browser, server.url)
        for text in HOSTILE:
            shown = page.page.inner_text("form.card h1")
            assert "".join(filter(str.isalnum, text)) in "".join(filter(str.isalnum, shown))
            page.press("1")
        page.saved()
        page.page.goto(f"{server.url}/product?id=p0")
        assert HOSTILE[0] in page.page.content().replace("&lt;", "<").replace("&gt;", ">")
        assert page.page.query_selector("script:not([src])") is None
        assert page.wrong == []


@pytest.mark.slow
def test_answers_wait_in_the_browser_while_another_program_holds_the_store(
    browser: Any, store: Store, tmp_path: Path
) -> None:
    """Also over a page that is loaded again meanwhile; each is stored once, and nothing is asked twice."""
    shop.fill(store, shop.batch(12))
    file = tmp_path / "labels.sqlite"
    with serving(str(file), "--annotator", "ann", "--write-wait", "0.5") as server:
        page = Page(browser, server.url)
        page.page.wait_for_function("() => ahead.length === 2")
        with holding(file) as holder:
            for product in ("p1", "p2"):
                page.press("1")
                assert page.product == product
            page.page.wait_for_selector("#trouble:not([hidden])")
            said = page.page.inner_text("#trouble")
            assert said.startswith("2 answers are not saved yet, but kept in this browser: another program has locked")
            held_up = page.page
            page.page = page.context.new_page()
            page.page.set_default_timeout(30_000)
            page.page.on("pageerror", lambda error: page.wrong.append(str(error)))
            held_up.close()
            page.page.goto(f"{server.url}/label")
            assert "another program has locked" in page.page.inner_text("main")
            assert labels(store) == []
            holder.let_go()
        # The page comes back by itself, and sends what the browser kept.
        page.page.wait_for_selector("#labelling")
        page.page.wait_for_function("() => pending.length === 0")
        page.page.wait_for_selector("form.card")
        assert [row[0] for row in labels(store)] == ["p0", "p1"] and page.product == "p2"
        page.press("1")
        page.saved()
        assert [row[0] for row in labels(store)] == ["p0", "p1", "p2"]
        # Refusals are listed on the console; errors of the page would be, too.
        assert all("503" in text for text in page.wrong)
