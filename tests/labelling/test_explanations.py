"""What the taxonomy says of a category stands beside it on the pages, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from labelling.store import Store, importing
from modules.taxonomy import Taxonomy
from tests.labelling import shop
from tests.labelling.serving import Annotator, Server, serving
from tests.labelling.shop import BOOTS, SANDALS, TREE, WALLETS

DESCRIPTION = '"><script>alert(1)</script> cover the ankle & {{ 7 * 7 }}'
SYNONYMS = ("Wellies", "' onmouseover='alert(2)")
SHOWN = f"{DESCRIPTION}\nAlso: Wellies, ' onmouseover='alert(2)."


class Titles(HTMLParser):
    """The tips of the buttons that answer, the text, and the scripts of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tips: dict[str, str | None] = {}
        self.text = ""
        self.scripts = 0
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.names.update(given)
        self.scripts += tag == "script" and "src" not in given
        if tag == "button" and given.get("name") == "category":
            self.tips[given.get("value") or ""] = given.get("title")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = str(tmp_path_factory.mktemp("shop") / "labels.sqlite")
    told = {BOOTS: {"description": DESCRIPTION, "synonyms": SYNONYMS}, WALLETS: {"synonyms": ("Purses",)}}
    tree = Taxonomy(replace(category, **told.get(category.id, {})) for category in TREE)  # type: ignore[arg-type]
    with Store(place) as store:
        asked = [shop.item(0, "asked", category=BOOTS, suggestions=())]
        shop.fill(store, shop.batch(3), shop.batch(name="questions", objective="rule_based", items=asked))
        with store.write() as connection:
            importing.taxonomy(connection, tree, shop.NOW + 1)
    with serving(place, "--annotator", "ann") as running:
        yield running


@pytest.fixture
def who(server: Server) -> Annotator:
    annotator = Annotator(server.url)
    annotator.look()
    return annotator


def read(html: str) -> Titles:
    page = Titles(html)
    assert page.scripts == 0 and "onmouseover" not in page.names
    return page


def test_a_suggestion_says_what_its_category_is(who: Annotator) -> None:
    html = who.http.get("/label/next", params={"held": "", "batch": "round-1"}).json()["html"]
    assert read(html).tips == {BOOTS: SHOWN, SANDALS: None}
    assert read(who.http.get("/label?batch=round-1").text).tips == {BOOTS: SHOWN, SANDALS: None}


def test_a_question_says_what_its_category_is(who: Annotator) -> None:
    page = read(who.http.get("/label?batch=questions").text)
    assert "Is it in Shoes > Boots?" in page.text and SHOWN in page.text


def test_a_category_s_page_says_it_too(who: Annotator) -> None:
    assert SHOWN in read(who.http.get("/category", params={"id": BOOTS}).text).text
    assert "Also:" not in read(who.http.get("/category", params={"id": SANDALS}).text).text


@pytest.mark.parametrize(("asked", "first"), [("wellies", "Shoes > Boots"), ("purs", "Bags > Wallets")])
def test_a_synonym_finds_its_category(who: Annotator, asked: str, first: str) -> None:
    hits = json.loads(who.http.get("/search", params={"q": asked, "objective": "exclusive"}).text)
    assert hits[0]["path"] == first


def test_a_store_from_before_there_were_texts_is_read(tmp_path: Path) -> None:
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(1))
        with store.read() as connection:
            stored = connection.exec_driver_sql("SELECT content FROM taxonomies").scalar_one()
    assert all(len(row) == 5 for row in json.loads(stored)) and Taxonomy.from_json(stored) == TREE
