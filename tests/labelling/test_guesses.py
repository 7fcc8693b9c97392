"""What the page says of categories that the model knows by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest

from labelling.store import Store
from tests.labelling import shop
from tests.labelling.serving import Annotator, Server, serving
from tests.labelling.shop import BOOTS, SANDALS

MARK = "guessed from its name"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = str(tmp_path_factory.mktemp("shop") / "labels.sqlite")
    mixed, taught = ((SANDALS, 0.6, "names"), (BOOTS, 0.3)), ((BOOTS, 0.6), (SANDALS, 0.3))
    with Store(place) as store:
        shop.fill(store, shop.batch(items=[shop.item(0, suggestions=mixed), shop.item(1, suggestions=taught)]))
    with serving(place, "--annotator", "ann") as running:
        yield running


def test_only_guessed_categories_carry_the_mark_in_the_order_of_probability(server: Server) -> None:
    annotator = Annotator(server.url)
    annotator.look()
    page = annotator.http.get("/label").text
    buttons = re.findall(r'<button name="category" value="([^"]+)".*?</button>', page)
    marked = [MARK in unescape(button) for button in re.findall(r'<button name="category".*?</button>', page)]
    assert list(zip(buttons, marked, strict=True)) == [(SANDALS, True), (BOOTS, False)]
    card = annotator.next()
    assert card is not None and annotator.say(card, SANDALS).status_code == 200
    later = annotator.http.get("/label").text
    assert f'value="{BOOTS}"' in later and MARK not in later
