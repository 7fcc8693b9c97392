"""What the pages to look at say: one category, product, run, batch, the review queue, search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from labelling.store import Store, importing
from labelling.store import tables as t
from labelling.web.context import Settings, Web
from labelling.web.search import Search
from labelling.web.words import WORDS, picked_as
from modules.query_strategies import STRATEGIES
from modules.taxonomy import Taxonomy
from tests.labelling import shop
from tests.labelling.serving import Annotator, Server, serving
from tests.labelling.shop import BOOTS, SANDALS

FACTS = {
    "objectives": {"exclusive": {"strategy": "schedule", "pool": 2404, "mean_utility": 0.4977, "classes_after": 63}},
    "parameters": {"size": 100, "strategy": {"kind": "schedule", "steps": [{"below": 1}]}, "objectives": ["exclusive"]},
    "fingerprint": "f00",
    "strategy": "schedule",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = str(tmp_path_factory.mktemp("shop") / "labels.sqlite")
    with Store(place) as store:
        picked = [
            shop.item(i, utility=0.75 - i / 100, strategy="margin", parts={"weight": 0.5}, model="m/7", split="train",
                      round=3, seed=7) for i in range(8)
        ]  # fmt: skip
        reason = {
            "reason": "rule_contradicted",
            "given": SANDALS,
            "suggested": BOOTS,
            "score": 0.98,
            "rule": "boots-title",
        }
        review = shop.batch(name="check", kind="review", items=[replace(shop.item(0), source="review", reason=reason)])
        products = [replace(shop.product(f"p{i}", title=f"Boot {i}"), rules=("boots-title",)) for i in range(8)]
        first = shop.batch(items=picked, run="run-2", strategy="schedule", round=3, facts=FACTS)
        shop.fill(store, first, review, products=products)
        shop.measure(store)
        shop.near(store, "p0", "twin")
    with serving(place, "--annotator", "ann") as found:
        one = Annotator(found.url)
        one.look()
        card = one.next()
        assert card is not None and one.say(card, BOOTS, note="brown sole").status_code == 200
        yield found


@pytest.fixture(scope="module")
def page(server: Server) -> Any:
    """A page's text, tags left out."""
    one = Annotator(server.url)

    def of(path: str, code: int = 200) -> str:
        answer = one.http.get(path)
        assert answer.status_code == code
        text = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", answer.text, flags=re.S)))
        return re.sub(r"\s+", " ", text)

    return of


def test_a_category_shows_its_runs_its_mistakes_and_its_rules(page: Any) -> None:
    text = page(f"/category?id={BOOTS}")
    assert "0.512 0.412–0.612 0.700 0.600 9" in text and "0.634 0.534–0.734" in text
    assert "Labelled Boots, taken for Shoes > Sandals 3 Boot 3" in text
    assert "Taken for Boots, labelled Bags > Wallets 2 Boot 4" in text
    assert "( title word boot, boots and not title word cut )" in text
    assert "Fires for 40 products, alone for 7; right in 4 of 5 labelled ones." in text
    assert "Catches Boot 1" in text and "Gets wrong Boot 2" in text
    assert "1 of 6 labelled products are reached by no rule of this category. Boot 5" in text
    assert "Labelled here Boot 0" in text


def test_a_category_shows_its_f1_as_a_chart(server: Server) -> None:
    text = Annotator(server.url).http.get(f"/category?id={BOOTS}").text
    svg = ElementTree.fromstring(text[text.index("<figure class=") : text.index("</figure>")] + "</figure>").find("svg")
    assert svg is not None and svg.attrib["aria-label"] == "F1 over 2 runs, the newest 0.634"
    tips = [title.text or "" for title in svg.iter("title")]
    assert len(tips) == 2 and tips[0].endswith(": 0.512") and tips[1].endswith(": 0.634")
    heights = [float(circle.attrib["cy"]) for circle in svg.iter("circle")]
    assert heights[0] > heights[1]
    # The interval's outline goes over the runs and back.
    outline = svg.find("polygon")
    assert outline is not None and len(outline.attrib["points"].split()) == 4


def test_a_category_without_any_run_says_so(page: Any) -> None:
    text = page(f"/category?id={SANDALS}")
    assert "No run has measured it yet" in text and "No rule puts a product here." in text
    assert "no such category" in page("/category?id=nothing", 404)


def test_a_product_shows_history_rules_and_predictions(page: Any) -> None:
    text = page("/product?id=p0")
    assert "boots-title → Shoes > Boots" in text and "Shoes > Boots 60.0%" in text
    assert re.search(
        r"History .*ann Shoes > Boots exclusive margin, round-1 Shoes > Boots 60.0% 1.500 brown sole", text
    )
    assert "round-1 exclusive margin done" in text and "check exclusive review open" in text
    assert "Neighbours Title of twin" in text
    assert "no such product" in page("/product?id=nothing", 404)


def test_a_run_stands_beside_the_one_before(page: Any) -> None:
    text = page("/run?id=run-2")
    assert "model blessed" in text and "train products 1,234" in text and "exclusive: random labels 78" in text
    # Each objective has tables of its own: no column holds figures of two.
    assert "Objective" not in text and text.count("exclusive Figure Value") == text.count("exclusive Category F1") == 1
    assert "accuracy 0.800 0.600–0.900 0.700" in text
    assert "Shoes > Boots 0.634" in text and "boots-title Shoes > Boots 40 7 5 4" in text
    assert "round-1 schedule open" in text
    assert "model not blessed" in page("/run?id=run-1")
    assert re.search(r"run-2 shop .* 0.800 blessed run-1 shop .* 0.700 not blessed", page("/runs"))
    assert "no such run" in page("/run?id=nothing", 404)


def test_a_batch_says_why_these_products(page: Any) -> None:
    text = page("/batch?id=round-1")
    assert "exclusive · schedule · round 3 · run run-2" in text and "1 of 8 done" in text
    assert "strategy schedule pool 2,404 mean utility 0.498 classes after 63" in text
    assert "Parameters size 100 strategy › kind schedule strategy › steps 1 › below 1 objectives exclusive" in text
    assert "Made from fingerprint f00 Sources" in text
    assert "margin 8 0.715" in text  # mean utility
    assert "1 Boot 0 Shop Shoes > Boots 60.0% margin 0.750 done ann: Shoes > Boots" in text
    assert "no such batch" in page("/batch?id=nothing", 404)


def test_the_review_queue_says_what_looks_wrong(page: Any, server: Server) -> None:
    text = page("/review")
    assert (
        "The model contradicts a rule that put the product there. boots-title Shoes > Sandals Shoes > Boots 0.980"
        in text
    )
    card = page("/label?kind=review")
    assert "the model says Shoes > Boots" in card and "rule boots-title" in card
    # Nobody stumbles into a review.
    one = Annotator(server.url)
    first = one.next()
    assert first is not None and first["product"] != "p0"


def test_the_card_says_why_this_product(page: Any) -> None:
    text = page("/label?batch=round-1")
    for part in ("Because the model hesitates between its first two categories", "strategy margin", "weight 0.5",
                 "rank in batch 2", "round 3", "split train", "model m/7", "seed 7", "batch round-1"):  # fmt: skip
        assert part in text, part


def test_queues_progress_and_the_store_in_figures(page: Any) -> None:
    text = page("/")
    assert "your labels 1" in text and re.search(r"round-1 exclusive schedule 7 1", text)
    assert "check review exclusive" in text and "Annotators Name Labels here Today Per hour ann 1 1" in text
    assert "Boot 3" in page("/products?q=oot 3") and "Nothing found." in page("/products?q=umbrella")
    assert "Boot 5" in page("/product?id=p5")
    assert "Boots 0.634 0.534–0.734 9 1 7" in page("/categories")


def test_a_label_may_be_given_on_a_products_own_page(server: Server) -> None:
    one = Annotator(server.url)
    one.look()
    html = one.http.get("/product", params={"id": "p7", "q": "tote"}).text
    form = html[html.index('class="found"') :]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[: form.index("<button")]))
    choice = re.search(r'name="category" value="([^"]+)">([^<]+)', form)
    assert choice is not None and unescape(choice[2]) == "Bags > Totes"
    answer = one.http.post("/label", data={**{k: unescape(v) for k, v in fields.items()}, "category": choice[1]})
    assert answer.status_code == 303 and answer.headers["location"] == "/product?id=p7"
    with Store(server.place) as store, store.read() as connection:
        row = connection.execute(t.labels.select().where(t.labels.c.product_id == "p7")).one()
    assert (row.source, row.category, row.batch) == ("manual", choice[1], None)


def test_every_strategys_pick_is_told_in_words() -> None:
    assert set(STRATEGIES) - {"combined", "schedule"} <= WORDS.keys()
    assert picked_as("margin+k_center") == f"{WORDS['margin']}, and {WORDS['k_center']}"
    assert picked_as("my_own") == "my own"


TREE = Taxonomy.from_paths(
    [
        "Shoes > Boots",
        "Shoes > Boots > Winter Boots",
        "Sports > Ski > Boots",
        "Shoes > Sandals",
        "Bags > Totes",
        "Gürtel",
    ]
)


@pytest.mark.parametrize(
    ("text", "first"),
    [("boots", "Shoes > Boots"), ("ski boo", "Sports > Ski > Boots"), ("winter", "Shoes > Boots > Winter Boots"),
     ("SANDALS", "Shoes > Sandals"), ("bags > totes", "Bags > Totes"), ("sandels", "Shoes > Sandals"),
     ("gurtel", "Gürtel"), ("tot", "Bags > Totes")],
)  # fmt: skip
def test_search_finds_by_pieces_and_forgives_slips(text: str, first: str) -> None:
    assert Search(list(TREE)).find(text)[0].text == first


def test_search_is_of_the_taxonomy_that_a_request_has(tmp_path: Path) -> None:
    newer = Taxonomy.from_paths(["Shoes > Boots", "Hats > Caps"])
    with Store(tmp_path / "labels.sqlite") as store:
        shop.fill(store, shop.batch(1))
        web = Web(store, Settings())
        with store.read() as connection:
            old = web.taxonomy(connection)
        with store.write() as connection:
            importing.taxonomy(connection, newer, shop.NOW + 1)
        with store.read() as connection:
            new = web.taxonomy(connection)
        assert old is not None and new == newer
        # A request that began before the newer one came asks last, and first.
        for tree, found in ((old, "Bags > Totes"), (new, "Hats > Caps"), (old, "Bags > Totes")):
            assert web.search(tree, False).find(found)[0].text == found
        # However many come, few are kept; each search is right.
        for i in range(20):
            tree = Taxonomy.from_paths([f"Kind {i} > Sort"])
            assert [one.text for one in web.search(tree, True).find("sort")] == [f"Kind {i} > Sort"]
        assert len(web._search) < 10


def test_search_gives_the_first_for_nothing_and_never_too_many() -> None:
    search = Search(list(TREE))
    assert len(search.find("", 3)) == 3 and len(search.find("o", 2)) == 2
    assert search.find("x" * 10_000) == []
    assert Search([]).find("boots") == []
