"""Products and categories on a real server: what the run's table says, filters, cursors, and another run's table."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import Services
from api.current import Current
from api.products.cursors import cursor_after, read_cursor
from api.products.table import ProductTable
from api.refusals import Refused
from api.similarity.metrics import Metrics
from modules.errors import InputError, Problem
from modules.predictions.documents import Document
from tests.api.shops import serving_all
from tests.modules.reporting.sample import taxonomy
from tests.publishing.shop import documents, predict

SPLITS = {"train": 150, "eval": 20, "test": 31}
FIGURES = {
    "run": "run-1", "time": "2024-01-01T00:00:00Z", "objective": "exclusive", "values": {"f1": 0.5, "support": 3.0},
}  # fmt: skip
Documents = dict[str, dict[str, Any]]


def table_of(folder: Path, version: str, seed: int = 0) -> tuple[ProductTable, Documents]:
    """A table, and the documents that it was made of."""
    predict(folder, SPLITS, seed)
    batches = [batch for batch in documents(folder, 7, f"run-{version}").batches()]
    boots = taxonomy().find("Shoes > Boots").id
    figures = {boots: [FIGURES, {**FIGURES, "run": "run-2"}]}
    made = ProductTable(version, f"run-{version}", taxonomy(), batches, figures)
    return made, {document.id: document.values for batch in batches for document in batch}


def services(tables: list[ProductTable]) -> Services:
    """What answers about the last of the tables, which may change."""

    def source(version: str | None) -> ProductTable | None:
        if not tables:
            raise InputError(Problem("", "expected a run"))
        return None if tables[-1].version == version else tables[-1]

    return Services(Metrics(), products=Current(source, "no run has published predictions yet"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Documents]]:
    table, known = table_of(tmp_path_factory.mktemp("predictions") / "p", "1")
    served = services([table])
    for loader in served.loaders().values():
        loader.load()
    with serving_all(served) as client:
        yield client, known


def pages(client: httpx.Client, limit: int, **filters: Any) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        asked = {**filters, "limit": limit, **({"cursor": cursor} if cursor else {})}
        answer = client.get("/v1/products", params=asked)
        assert answer.status_code == 200, answer.text
        yield answer.json()["products"]
        cursor = answer.json()["next"]
        if cursor is None:
            return


def below(category: str) -> set[str]:
    tree = taxonomy()
    return {category, *(inner.id for inner in tree.descendants(category))}


def test_a_product_is_what_was_published_of_it(shop: tuple[httpx.Client, Documents]) -> None:
    client, known = shop
    for name in random.Random(1).sample(sorted(known), 20):
        assert client.get(f"/v1/products/{name}").json() == known[name]
    refused = client.get("/v1/products/nothing%2Flike%20it")
    assert refused.status_code == 404 and "nothing/like it" in refused.json()["error"]["what"]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_are_all_products_once_in_the_order_of_their_ids(
    shop: tuple[httpx.Client, Documents], limit: int
) -> None:
    client, known = shop
    listed = [page for page in pages(client, limit)]
    assert [product for page in listed for product in page] == [known[name] for name in sorted(known)]
    assert all(len(page) == limit for page in listed[:-1]) and 0 < len(listed[-1]) <= limit


@pytest.mark.parametrize("category", ["Shoes", "Shoes > Boots", "Hats"])
@pytest.mark.parametrize("retailer", [None, "shop-1"])
@pytest.mark.parametrize(("low", "high"), [(None, None), (0.5, None), (0.4, 0.8)])
def test_filters_equal_a_plain_loop(
    shop: tuple[httpx.Client, Documents], category: str, retailer: str | None, low: float | None, high: float | None
) -> None:
    client, known = shop
    wanted_categories = below(taxonomy().find(category).id)
    wanted = [
        name
        for name, document in sorted(known.items())
        if document["objectives"]["exclusive"]["category_id"] in wanted_categories
        and retailer in (None, document["retailer"])
        and (low or 0.0) <= document["objectives"]["exclusive"]["probability"] <= (1.0 if high is None else high)
    ]
    filters = {"category": category, "retailer": retailer, "min_probability": low, "max_probability": high}
    given_filters = {name: value for name, value in filters.items() if value is not None}
    assert [product["id"] for page in pages(client, 3, **given_filters) for product in page] == wanted
    assert wanted or low, "the test has products to look for"


def test_categories_count_the_products_in_and_below_them(shop: tuple[httpx.Client, Documents]) -> None:
    client, known = shop
    own = [document["objectives"]["exclusive"]["category_id"] for document in known.values()]
    first = client.get("/v1/categories", params={"limit": 3}).json()
    second = client.get("/v1/categories", params={"limit": 3, "cursor": first["next"]}).json()
    third = client.get("/v1/categories", params={"limit": 3, "cursor": second["next"]}).json()
    listed = [*first["categories"], *second["categories"], *third["categories"]]
    assert third["next"] is None
    assert [(category["id"], category["parent"]) for category in listed] == [(c.id, c.parent) for c in taxonomy()]
    for category in listed:
        assert category["products"] == sum(name in below(category["id"]) for name in own)
    assert sum(category["products"] for category in listed if category["level"] == 1) == len(known)


def test_a_category_has_the_metrics_of_the_last_run_and_of_those_before(shop: tuple[httpx.Client, Documents]) -> None:
    client, _ = shop
    boots = taxonomy().find("Shoes > Boots")
    for name in (boots.id, boots.text):
        said = client.get(f"/v1/categories/{name}").json()
        assert said["id"] == boots.id and said["children"] == [c.id for c in taxonomy().children(boots)]
        assert said["history"] == [FIGURES, {**FIGURES, "run": "run-2"}]
        assert said["metrics"] == [{**FIGURES, "run": "run-2"}]
    assert client.get("/v1/categories/Hats").json()["metrics"] == []
    refused = client.get("/v1/categories/Hatz")
    assert refused.status_code == 404 and "did you mean 'Hats'?" in refused.json()["error"]["next"]


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "é"}, "cursor"), ({"cursor": ""}, "cursor"), ({"min_probability": "nan"}, "min_probability"),
        ({"max_probability": 1.1}, "max_probability"), ({"category": "Shoe"}, "category"),
        ({"retailer": ""}, "retailer"),
        ({"categroy": "Shoes"}, "categroy"), ({"cursor": "A" * 20_000}, "cursor"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(shop: tuple[httpx.Client, Documents], asked: dict[str, Any], where: str) -> None:
    answer = shop[0].get("/v1/products", params=asked)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert list(error) == ["what", "where", "expected", "next"] and where in error["where"]
    assert len(answer.text) < 1000


@given(last=st.text(max_size=30), other=st.text(max_size=5), place=st.integers(0, 200), letter=st.sampled_from("Ab9_"))
@settings(deadline=None)
def test_a_cursor_is_read_back_and_none_other_is(last: str, other: str, place: int, letter: str) -> None:
    cursor = cursor_after(last, ("question", 1))
    assert read_cursor(cursor, ("question", 1)) == last
    with pytest.raises(Refused):
        read_cursor(cursor, ("question", other))
    place %= len(cursor)
    changed = cursor[:place] + letter + cursor[place + 1 :]
    try:
        # The last letter may hold bits that stand for nothing.
        assert read_cursor(changed, ("question", 1)) == last
    except Refused:
        assert changed != cursor


def test_another_runs_table_takes_the_place_and_the_old_file_goes(tmp_path: Path) -> None:
    first, old = table_of(tmp_path / "a", "1")
    second, new = table_of(tmp_path / "b", "2", seed=5)
    tables: list[ProductTable] = []
    served = services(tables)
    assert served.products is not None
    with serving_all(served) as client:
        assert client.get("/readyz").status_code == 503
        none_yet = client.get("/v1/products/train-0")
        assert (
            none_yet.status_code == 503 and none_yet.json()["error"]["what"] == "no run has published predictions yet"
        )
        assert int(none_yet.headers["retry-after"]) > 0
        tables.append(first)
        assert served.products.load() and not served.products.load()
        assert client.get("/v1/products/train-0").json() == old["train-0"]
        assert client.get("/readyz").json() == {"ready": True, "run": "run-1"}
        cursor = client.get("/v1/products", params={"limit": 5}).json()["next"]
        tables.append(second)
        assert served.products.load()
        # A cursor stands for an id, so that paging goes on in the newer table.
        page = client.get("/v1/products", params={"limit": 5, "cursor": cursor}).json()["products"]
        assert page == [new[name] for name in sorted(new)[5:10]]
    file = first._file
    assert file.exists()
    del first
    tables.clear()
    assert not file.exists()


def test_a_failure_while_reading_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def batches() -> Iterator[list[Document]]:
        yield [Document("a", {"id": "a", "retailer": "r", "objectives": {}}, None)]
        raise InputError(Problem("part-00001.parquet", "a file that is not damaged"))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError):
        ProductTable("1", "run-1", taxonomy(), batches())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["abc", "-3", "9" * 5000, "1e3", " 5", "1_0", "٣", "0", "100"])
def test_a_cursor_that_somebody_made_up_is_refused(shop: tuple[httpx.Client, Documents], place: str) -> None:
    forged = cursor_after(place, ("categories", "1"))
    refused = shop[0].get("/v1/categories", params={"cursor": forged})
    assert refused.status_code == 422 and refused.json()["error"]["where"] == "cursor"


def test_refusals_say_what_came_and_are_short(shop: tuple[httpx.Client, Documents]) -> None:
    unknown = shop[0].get("/v1/products", params={"k" * 5000: "1"})
    assert unknown.status_code == 422 and len(unknown.content) < 1000
    error = shop[0].get("/v1/products", params={"limit": "-1"}).json()["error"]
    assert error["where"] == "query.limit" and "-1" in error["what"] and "1" in error["expected"]
    error = shop[0].get("/v1/products", params={"category": "%"}).json()["error"]
    assert error["where"] == "category" and "%" in error["what"] and error["expected"].startswith("the id or the path")
