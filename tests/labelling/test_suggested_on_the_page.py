"""What other classifiers suggest, on the labelling page: marked, answered by its key, and never a label."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from labelling.store import Store, rows
from labelling.store.audits import asked_about, judged
from labelling.store.rows import Label
from modules.labels.model import AUDIT
from tests.labelling import shop
from tests.labelling.serving import Annotator, Server, serving
from tests.labelling.shop import BOOTS, NOW, SANDALS, TOTES, WALLETS

HOSTILE = "<script>alert(1)</script>\"' {{ 7*7 }}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = str(tmp_path_factory.mktemp("shop") / "labels.sqlite")
    said = [
        ("p0", "parrot", SANDALS, "yes", 0.75), ("p1", "parrot", TOTES, "yes", None),
        ("p1", HOSTILE, WALLETS, "yes", 1.0), ("p2", "parrot", None, "none_of_these", 0.5),
        ("p3", "parrot", "gone", "yes", 0.5),
    ]  # fmt: skip
    with Store(place) as store:
        shop.fill(store, shop.batch(4))
        with store.write() as connection:
            rows.append(connection, [
                Label(product, "exclusive", category, value, by, NOW + i, "model", confidence=confidence)
                for i, (product, by, category, value, confidence) in enumerate(said)
            ])  # fmt: skip
    with serving(place, "--annotator", "ann") as running:
        yield running


def buttons(html: str) -> list[tuple[str, str | None, str]]:
    """Category, key and text of the buttons that answer with a category."""
    answers = []
    for attributes, inside in re.findall(r'<button name="category"([^>]*)>(.*?)</button>', html):
        value = re.search(r'value="([^"]*)"', attributes)
        key = re.search(r'data-key="([^"]*)"', attributes)
        text = unescape(re.sub(r"<[^>]*>", " ", inside))
        answers.append((value[1] if value else "", key[1] if key else None, " ".join(text.split())))
    return answers


def test_suggestions_are_marked_beside_the_models_own_and_people_answer_with_them(server: Server) -> None:
    annotator = Annotator(server.url)
    annotator.look()
    seen = {}
    for _ in range(4):
        html = annotator.http.get("/label").text
        card = annotator.next()
        assert card is not None
        seen[card["product"]] = buttons(html)
        assert "<script>alert" not in html and "49" not in "".join(text for _, _, text in buttons(html))
        if card["product"] == "p1":
            assert annotator.say(card, TOTES).status_code == 200
        else:
            assert annotator.say(card, BOOTS).status_code == 200
    own = [(BOOTS, "1"), (SANDALS, "2")]
    assert [(c, key) for c, key, _ in seen["p0"]] == own
    assert [text for _, _, text in seen["p0"]] == [
        "1 Boots Shoes 60.0%", "2 Sandals Shoes suggested by parrot, which is 75.0% sure 30.0%",
    ]  # fmt: skip
    # The newest is on the key; the name of a classifier is a text like any other.
    assert [(c, key) for c, key, _ in seen["p1"]] == [*own, (WALLETS, "l"), (TOTES, None)]
    assert seen["p1"][2][2] == f"L Wallets Bags suggested by {' '.join(HOSTILE.split())}, which is 100.0% sure"
    assert seen["p1"][3][2] == "Totes Bags suggested by parrot"
    assert [(c, key) for c, key, _ in seen["p2"]] == [(c, key) for c, key, _ in seen["p3"]] == own
    with Store(server.place, create=False) as store, store.read() as connection:
        people = [row for row in rows.standing(rows.read(connection))]
        assert {row.product_id: (row.annotator, row.category, row.source) for row in people} == {
            "p0": ("ann", BOOTS, "margin"), "p1": ("ann", TOTES, "margin"),
            "p2": ("ann", BOOTS, "margin"), "p3": ("ann", BOOTS, "margin"),
        }  # fmt: skip


def test_pages_count_people_alone(server: Server) -> None:
    annotator = Annotator(server.url)
    annotator.look()
    home = annotator.http.get("/").text
    assert "parrot" not in home and "<script>alert" not in home
    product = annotator.http.get("/product", params={"id": "p1"})
    assert product.status_code == 200 and "parrot" in product.text and "<script>alert" not in product.text
    wallets = annotator.http.get("/category", params={"id": WALLETS})
    assert wallets.status_code == 200 and "Title of p1" not in wallets.text


def test_whoever_judges_what_was_accepted_sees_no_suggestion(tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    items = [replace(shop.item(0), source=AUDIT, strategy=AUDIT, suggestions=())]
    with Store(place) as store:
        shop.fill(store, replace(shop.batch(1, name="audit-1-exclusive"), items=items))
        with store.write() as connection:
            rows.append(connection, [Label("p0", "exclusive", SANDALS, "yes", "parrot", NOW, "model", confidence=0.75)])
    with serving(place, "--annotator", "ann") as running:
        annotator = Annotator(running.url)
        annotator.look()
        html = annotator.http.get("/label").text
        assert buttons(html) == [] and "parrot" not in html and "whose precision is audited" in html
        card = annotator.next()
        assert card is not None and card["product"] == "p0" and annotator.say(card, BOOTS).status_code == 200
    with Store(place, create=False) as store, store.read() as connection:
        assert judged(connection, {"p0": BOOTS}, "exclusive", "exclusive") == {"p0": True}
        assert judged(connection, {"p0": SANDALS}, "exclusive", "exclusive") == {"p0": False}
        (row,) = rows.standing(rows.read(connection))
        assert (row.source, row.batch) == (AUDIT, "audit-1-exclusive")
        assert asked_about(connection, "exclusive") == {"p0"} and asked_about(connection, "rule_based") == set()


def test_the_majority_judges_and_a_tie_says_nothing(tmp_path: Path) -> None:
    said = {
        "right": [BOOTS, BOOTS, SANDALS], "wrong": [None, SANDALS, BOOTS], "tied": [BOOTS, SANDALS], "asked": [],
    }  # fmt: skip
    labels = [
        Label(product, "exclusive", category, "yes" if category else "none_of_these", f"ann{i}", NOW + i, AUDIT)
        for product, categories in said.items()
        for i, category in enumerate(categories)
    ]
    with Store(str(tmp_path / "labels.sqlite")) as store:
        shop.fill(store, shop.batch(1))
        with store.write() as connection:
            rows.append(connection, labels)
            rows.append(connection, [Label("asked", "exclusive", BOOTS, "yes", "parrot", NOW, "model")])
            denied = [("denied", BOOTS), ("another", SANDALS)]
            rows.append(connection, [Label(product, "exclusive", c, "no", "ann", NOW, AUDIT) for product, c in denied])
        with store.read() as connection:
            verdicts = judged(connection, dict.fromkeys([*said, "denied", "another"], BOOTS), "exclusive", "exclusive")
            # Of what a model said nothing is known; p0 waits in the open batch.
            assert asked_about(connection, "exclusive") == {"right", "wrong", "tied", "denied", "another", "p0"}
    assert verdicts == {"right": True, "wrong": False, "denied": False}
