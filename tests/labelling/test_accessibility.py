"""The pages for everybody: keyboard, screen reader, contrast, a phone; measured in a real browser."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from labelling.store import Store, accounts
from labelling.store import tables as t
from labelling.store.database import now
from tests.browsing import CONTRAST, TOO_WIDE
from tests.labelling import shop
from tests.labelling.serving import Server, serving
from tests.labelling.shop import BOOTS, SANDALS
from tests.labelling.test_browser import PASSWORD, Page

pytestmark = pytest.mark.browser
PAGES = [
    "/", "/label", "/label?batch=questions", "/review", "/categories", f"/category?id={BOOTS}", "/runs",
    "/run?id=run-2", "/products?q=title", "/product?id=p0", "/batch?id=round-1", "/audit", "/similar", "/judge",
    "/batch?id=none",
]  # fmt: skip

NAMED = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "spinbutton", "option", "listbox",
         "progressbar", "image", "img", "dialog", "navigation"}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shop")
    place = str(folder / "labels.sqlite")
    fields = {
        "brand": "Splufunst", "raw_category": "Sports > Winter Sports > Ski > Boots", "gender": "women", "size": "42",
        "color": "silver", "price": "150.95", "currency": "EUR", "availability": "in stock",
        "url": "https://shop-1.example/p/s1-0002014", "description": "Warm, dry and light. " * 40,
    }  # fmt: skip
    with Store(place) as store:
        suggestions = ((BOOTS, 0.456), (SANDALS, 0.383), (shop.WALLETS, 0.1), (shop.TOTES, 0.01))
        picked = shop.batch(items=[shop.item(i, suggestions=suggestions) for i in range(30)], run="run-2")
        questions = shop.batch(
            name="questions", objective="rule_based", items=[shop.item(i, f"q{i}", category=BOOTS) for i in range(3)]
        )
        reason = {"reason": "label_error", "given": SANDALS, "suggested": BOOTS, "score": 0.98}
        review = shop.batch(name="check", kind="review", items=[replace(shop.item(0), source="review", reason=reason)])
        products = [shop.product(f"p{i}", title=f"Title of boots {i}, Glacier Classic", **fields) for i in range(30)]
        shop.fill(store, picked, questions, review, products=products)
        shop.measure(store)
        shop.near(store, "p0", "twin", "other")
        with store.write() as connection:
            accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
    # No index, whatever lies in the checkout; the page names the place, as one long word.
    with serving(place, "--accounts", "--index", str(folder / ("no" * 60))) as found:
        yield found


@pytest.fixture(scope="module")
def session(browser: Any, server: Server) -> Any:
    """The cookie of somebody who has signed in, with the keyboard alone."""
    page = Page(browser, server.url, "/")
    page.page.wait_for_function("() => document.activeElement.id === 'name'")
    page.page.keyboard.type("boss")
    page.page.keyboard.press("Tab")
    page.page.keyboard.type(PASSWORD)
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("nav")
    assert page.wrong == []
    return page.context.storage_state()


def opened(browser: Any, session: Any, **how: Any) -> Any:
    context = browser.new_context(storage_state=session, **how)
    page = context.new_page()
    page.set_default_timeout(10_000)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Any, session: Any, server: Server, scheme: str) -> None:
    page = opened(browser, session, color_scheme=scheme, reduced_motion="reduce")
    for path in PAGES:
        page.goto(server.url + path)
        for summary in page.query_selector_all("details:not([open]) > summary"):
            summary.click()
        judged, poor = page.evaluate(CONTRAST)
        assert judged > 5 and poor == [], path
    page.goto(server.url + "/label?batch=round-1")
    page.keyboard.press("/")
    page.keyboard.type("boo")
    page.wait_for_selector("#hits li[aria-selected=true]")
    assert page.evaluate(CONTRAST)[1] == []
    signed_out = browser.new_context(color_scheme=scheme).new_page()
    signed_out.goto(server.url + "/sign-in")
    assert signed_out.evaluate(CONTRAST)[1] == []


def test_a_screen_reader_finds_names_landmarks_and_headings(browser: Any, session: Any, server: Server) -> None:
    page = opened(browser, session)
    titles = []
    for path in PAGES:
        page.goto(server.url + path)
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        found = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]
        assert [role for role, name in found if role in NAMED and not name.strip()] == [], path
        roles = [role for role, _ in found]
        assert roles.count("main") == 1 and roles.count("banner") == 1, path
        levels = page.eval_on_selector_all(
            "h1, h2, h3, h4", "all => all.filter(h => h.checkVisibility()).map(h => +h.tagName[1])"
        )
        assert levels.count(1) == 1 and levels[0] == 1, path
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), (path, levels)
        ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids)), path
        titles.append(page.title())
        assert page.get_attribute("html", "lang") == "en"
    assert len(set(titles)) > len(PAGES) - 3


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Any, session: Any, server: Server) -> None:
    page = opened(browser, session, reduced_motion="reduce")
    for path in ("/label", "/", "/batch?id=round-1"):
        page.goto(server.url + path)
        wanted = page.eval_on_selector_all(
            "a[href], button, input:not([type=hidden]), summary",
            "all => all.filter(e => e.checkVisibility() && !e.disabled).length",
        )
        page.evaluate("document.activeElement.blur()")
        page.evaluate("window.reached = new Set()")
        for _ in range(3 * wanted):
            page.keyboard.press("Tab")
            shown = page.evaluate(
                """() => { const e = document.activeElement, s = getComputedStyle(e);
                  if (e === document.body) return null;
                  if (e.matches("a[href], button, input, summary")) reached.add(e);
                  return [s.outlineStyle, parseFloat(s.outlineWidth), e.outerHTML.slice(0, 80)]; }"""
            )
            assert shown is None or (shown[0] != "none" and shown[1] >= 1), shown
        assert page.evaluate("reached.size") == wanted, path
    # The first stop leads past the navigation.
    page.goto(server.url + "/categories")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_url("**/categories#main")


def test_an_answer_is_said_and_the_next_product_has_the_focus(browser: Any, session: Any, server: Server) -> None:
    page = opened(browser, session)
    page.goto(server.url + "/label?batch=round-1")
    page.wait_for_function("() => ahead.length === 2")
    title = page.inner_text("form.card h1")
    page.keyboard.press("1")
    page.wait_for_function("title => document.querySelector('#said').textContent.includes(title)", arg=title)
    assert page.get_attribute("#said", "aria-live") == "polite" and page.get_attribute("#trouble", "role") == "alert"
    assert page.evaluate("document.activeElement === document.querySelector('form.card h1')")
    page.keyboard.press("/")
    page.keyboard.type("tot")
    page.wait_for_selector("#hits li[aria-selected=true]")
    box = "document.querySelector('#search')"
    assert page.evaluate(f"{box}.getAttribute('aria-expanded')") == "true"
    active = page.evaluate(f"document.getElementById({box}.getAttribute('aria-activedescendant')).textContent")
    assert active == "Bags > Totes"
    page.keyboard.press("Escape")
    assert page.evaluate(f"{box}.getAttribute('aria-expanded')") == "false"
    page.keyboard.press("?")
    assert page.evaluate("document.querySelector('#help').open")
    page.keyboard.press("Escape")
    # A note, by keyboard: what is typed there is no shortcut.
    page.keyboard.press("m")
    page.keyboard.type("s1u0")
    page.keyboard.press("Escape")
    product = page.get_attribute("form.card", "data-product")
    page.keyboard.press("1")
    page.wait_for_function("() => pending.length === 0")
    with Store(server.place) as store, store.read() as connection:
        row = connection.execute(select(t.labels).order_by(t.labels.c.id.desc()).limit(1)).one()
    assert (row.product_id, row.note, row.value) == (product, "s1u0", "yes")


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone(browser: Any, session: Any, server: Server, width: int) -> None:
    page = opened(browser, session, viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True)
    for path in PAGES:
        page.goto(server.url + path)
        assert page.evaluate(TOO_WIDE, width) == [], path
        # WCAG 2.2 AA, 2.5.8: 24 pixels, but for links in running text.
        small = page.eval_on_selector_all(
            "button, .button, input:not([type=hidden]):not([type=checkbox]), nav a",
            """all => all.filter(e => e.checkVisibility()).map(e => [e.textContent, e.getBoundingClientRect()])
              .filter(([, r]) => r.height < 24 || r.width < 24).map(([text, r]) => `${text} ${r.width}x${r.height}`)""",
        )
        assert [one for one in small if "›" not in one] == [], path
    page.goto(server.url + "/label?batch=round-1")
    page.wait_for_function("() => ahead.length === 2")
    first = page.locator("form.card .options button").first
    box = first.bounding_box()
    assert box is not None and box["height"] >= 44
    # The first answer can be given without scrolling.
    assert box["y"] + box["height"] <= 844
    before = page.get_attribute("form.card", "data-product")
    first.tap()
    page.wait_for_function("before => document.querySelector('form.card').dataset.product !== before", arg=before)
    page.wait_for_function("() => pending.length === 0")


def test_without_any_script(browser: Any, session: Any, server: Server) -> None:
    page = opened(browser, session, java_script_enabled=False)
    page.goto(server.url + "/label?batch=round-1")
    product = page.locator("form.card").get_attribute("data-product")
    another = f"form.card:not([data-product='{product}'])"
    page.fill("#search", "tote")
    page.press("#search", "Enter")
    page.click("form.found button:has-text('Totes')")
    page.wait_for_selector(another)
    page.click("#undo button")
    page.wait_for_selector(f"form.card[data-product='{product}']")
    page.click("button[data-key='s']")
    page.wait_for_selector(another)
    with Store(server.place) as store, store.read() as connection:
        rows = connection.execute(select(t.labels).order_by(t.labels.c.id.desc()).limit(3)).all()
    assert [(row.product_id, row.value) for row in rows[::-1]] == [
        (product, "yes"), (product, "retracted"), (product, "skip"),
    ]  # fmt: skip


def test_no_page_asks_another_host(browser: Any, session: Any, server: Server) -> None:
    page = opened(browser, session)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        page.goto(server.url + path)
    assert len(asked) > len(PAGES) and all(url.startswith(server.url + "/") for url in asked)
