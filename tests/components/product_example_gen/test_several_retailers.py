"""Two retailers' feeds of different shapes in one workflow, as ProductExampleGen makes examples of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

from modules.errors import InputError
from modules.examples import RAW_CATEGORY, RETAILER, TITLE, eval_weight, label
from modules.feeds.splitting import Splitter
from modules.settings.feed import SplitSettings
from modules.settings.workflow import Workflow
from tests.components.product_example_gen.test_component import THREE_THREADS, Result, execute

NORTH = {
    "retailer": "north",
    "files": ["north.csv"],
    "delimiter": ";",
    "fields": {"id": "sku", "title": "name", "truth": "path", "raw_category": None},
    "truth_separator": "/",
}
SOUTH = {
    "retailer": "south",
    "files": ["south/*.jsonl"],
    "fields": {"title": "texts.title", "raw_category": "cat", "truth": "tree", "retailer": None},
}


def write_feeds(folder: Path) -> None:
    """Ids 1 to 30 in both, other columns, and true categories that differ in their spelling."""
    rows = [f"{i};boot {i};{'Shoes/Boots' if i % 2 else 'Home / Lamps'};somebody" for i in range(1, 31)]
    (folder / "north.csv").write_text("sku;name;path;retailer\n" + "\n".join(rows) + "\n")
    (folder / "south").mkdir()
    lines = [
        {"id": i, "texts": {"title": f"lamp {i}"}, "cat": "Licht", "tree": ["home", "LAMPS"] if i % 3 else ["Toys"]}
        for i in range(1, 31)
    ]
    (folder / "south" / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def label_row(product: str, category: str, time: int, **more: Any) -> str:
    row = {"product_id": product, "objective": "exclusive", "category": category, "value": "yes", "annotator": "ann"}
    row |= {"time": f"2026-01-{time:02d}T00:00:00Z", "source": "random", "inclusion_probability": 1.0}
    return json.dumps(row | more) + "\n"


def workflow(*feeds: dict[str, Any], **more: Any) -> Workflow:
    data: dict[str, Any] = {"name": "test", "feeds": list(feeds or (NORTH, SOUTH)), "taxonomy": {"from_truth": True}}
    return Workflow.model_validate(data | more)


def text(result: Result, product: str, field: str) -> str:
    return result.all[product][field][0].decode()


@pytest.mark.parametrize("arguments", [None, THREE_THREADS])
def test_each_feed_is_read_in_its_own_way_and_has_its_own_ids(tmp_path: Path, arguments: list[str] | None) -> None:
    write_feeds(tmp_path)
    result = execute(tmp_path, tmp_path / "out", workflow(), arguments)
    assert set(result.all) == {f"{retailer}:{i}" for retailer in ("north", "south") for i in range(1, 31)}
    assert text(result, "north:7", TITLE) == "boot 7" and text(result, "south:7", TITLE) == "lamp 7"
    assert text(result, "north:7", RETAILER) == "north", "the feed's name, and not its column"
    assert text(result, "south:7", RETAILER) == "south"
    assert text(result, "south:7", RAW_CATEGORY) == "Licht" and RAW_CATEGORY not in result.all["north:7"]
    counts = result.counts
    assert counts.retailers == ["north", "south"] and counts.total == 60 and not counts.quarantined
    assert counts.by_retailer == {(name, what): 30 for name in ("north", "south") for what in ("products", "read")}


def test_the_taxonomy_is_the_union_of_the_trees_with_the_more_frequent_spelling(tmp_path: Path) -> None:
    write_feeds(tmp_path)
    flow = workflow(labels={"truth": {"evaluate": True}})
    result = execute(tmp_path, tmp_path / "out", flow)
    # 15 products of north and 20 of south are in the lamps: south's spelling is kept.
    paths = [category.path for category in result.taxonomy if category.exclusive]
    assert paths == [("Shoes", "Boots"), ("Toys",), ("home", "LAMPS")]
    lamps = paths.index(("home", "LAMPS"))
    assert result.all["north:2"][label("exclusive")] == [lamps] == result.all["south:2"][label("exclusive")]
    assert result.all["south:3"][label("exclusive")] == [paths.index(("Toys",))]


def test_labels_of_the_first_feed_are_carried_over(tmp_path: Path) -> None:
    write_feeds(tmp_path)
    (tmp_path / "labels.jsonl").write_text(
        label_row("3", "Shoes > Boots", 1)  # from before the second feed
        + label_row("4", "Shoes > Boots", 1)
        + label_row("north:4", "home > LAMPS", 2)  # the same person's newer answer
        + label_row("5", "Shoes > Boots", 1)
        + label_row("north:5", "Shoes > Boots", 2, value="retracted")
        + label_row("south:6", "Toys", 1)
        + label_row("77", "Toys", 1)  # no product
    )
    result = execute(tmp_path, tmp_path / "out", workflow(labels={"files": ["labels.jsonl"]}))
    paths = [category.path for category in result.taxonomy if category.exclusive]
    labelled = {
        product: paths[features[label("exclusive")][0]]
        for product, features in result.all.items()
        if features[label("exclusive")] not in ([], [-1])
    }
    assert labelled == {"north:3": ("Shoes", "Boots"), "north:4": ("home", "LAMPS"), "south:6": ("Toys",)}
    assert result.all["north:3"][eval_weight("exclusive")] == [1.0]
    assert result.counts.unmatched_labels["exclusive"] == 1


def test_a_shop_whose_ids_start_with_its_own_name_keeps_its_labels(tmp_path: Path) -> None:
    (tmp_path / "north.csv").write_text("sku;name;path\nnorth:1;boot;Shoes/Boots\nnorth:2;lamp;Lamps\n")
    (tmp_path / "south").mkdir()
    (tmp_path / "south" / "a.jsonl").write_text('{"id": 1, "texts": {"title": "lamp"}, "tree": ["Lamps"]}\n')
    (tmp_path / "labels.jsonl").write_text(label_row("north:1", "Lamps", 1))
    result = execute(tmp_path, tmp_path / "out", workflow(labels={"files": ["labels.jsonl"]}))
    assert set(result.all) == {"north:north:1", "north:north:2", "south:1"}
    assert result.all["north:north:1"][eval_weight("exclusive")] == [1.0]
    assert result.counts.unmatched_labels["exclusive"] == 0


def test_a_broken_feed_stops_the_run_however_large_the_others_are(tmp_path: Path) -> None:
    write_feeds(tmp_path)
    path = tmp_path / "south" / "a.jsonl"
    path.write_text("".join(path.read_text().splitlines(True)[:4]) + "{broken\n" + '{"id": 1, "cat": "again"}\n')
    quarantine = {"max_share": 0.1}
    with pytest.raises(InputError, match="2 of 6 records of south are bad") as caught:
        execute(tmp_path, tmp_path / "out", workflow(feed={"quarantine": quarantine}))
    assert "north" not in str(caught.value)
    result = execute(tmp_path, tmp_path / "more", workflow(feed={"quarantine": {"max_share": 0.5}}))
    assert result.counts.quarantined_of("south") == {"broken_json": 1, "duplicate_id": 1}
    assert not result.counts.quarantined_of("north") and result.counts.by_retailer["south", "read"] == 6
    assert {(Path(bad["file"]).name, bad["reason"]) for bad in result.bad} == {
        ("a.jsonl", "broken_json"), ("a.jsonl", "duplicate_id"),
    }  # fmt: skip


def test_a_file_of_two_feeds_is_an_error(tmp_path: Path) -> None:
    write_feeds(tmp_path)
    greedy = {**SOUTH, "files": ["**/*"], "format": "jsonl"}
    with pytest.raises(InputError, match="expected a file of one feed; north has it, too"):
        execute(tmp_path, tmp_path / "out", workflow(NORTH, greedy))


def test_a_single_feed_chooses_its_ids(tmp_path: Path) -> None:
    write_feeds(tmp_path)
    feed = {**NORTH, "ids": "retailer"}
    flow = Workflow.model_validate({"name": "test", "feed": feed, "taxonomy": {"from_truth": True}})
    result = execute(tmp_path, tmp_path / "out", flow)
    assert set(result.all) == {f"north:{i}" for i in range(1, 31)}
    plain = Workflow.model_validate({"name": "test", "feed": NORTH, "taxonomy": {"from_truth": True}})
    assert set(execute(tmp_path, tmp_path / "plain", plain).all) == {str(i) for i in range(1, 31)}
    alone = execute(tmp_path, tmp_path / "alone", workflow(NORTH))
    assert set(alone.all) == {str(i) for i in range(1, 31)}, "one feed in the list is one feed"


@pytest.mark.parametrize("arguments", [None, THREE_THREADS])
def test_variants_of_all_feeds_fall_into_one_split(tmp_path: Path, arguments: list[str] | None) -> None:
    """Titles differ throughout: north's products share item groups of three, south's pictures of two, every fifth one
    of both the GTIN of the other's; a GTIN that is everywhere joins nothing."""

    def ean(number: int) -> str:
        body = f"40000000{number:04}"
        return body + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body)) % 10)

    north = [
        f"{i};boot {i};{'Shoes/Boots' if i < 150 else 'Home/Lamps'};g{i // 3};{ean(i if i % 5 == 0 else 9999)}"
        for i in range(300)
    ]
    (tmp_path / "north.csv").write_text("sku;name;path;parent;ean\n" + "\n".join(north) + "\n")
    south = [
        {
            "id": i, "title": f"lamp {i}", "item_group_id": "none", "gtin": [ean(i)] if i % 5 == 0 else None,
            "tree": ["Schuhe" if i < 150 else "Licht"], "image": f"{i // 2}.jpg" if i < 280 else "https://x/soon.png",
        }
        for i in range(150, 300)
    ]  # fmt: skip
    # One without a title is read by its description alone.
    bare = [{"id": 7, "title": "x"}, *({"id": i, "description": "d", "gtin": ean(i * 5)} for i in range(3))]
    (tmp_path / "south.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*south, *bare]))
    feeds: list[dict[str, Any]] = [
        {"retailer": "north", "files": ["north.csv"], "truth_separator": "/", "fields": {
            "id": "sku", "title": "name", "truth": "path", "item_group_id": "parent", "gtin": "ean"}},
        {"retailer": "south", "files": ["south.jsonl"], "fields": {"truth": "tree"}},
    ]  # fmt: skip
    result = execute(tmp_path, tmp_path / "out", workflow(*feeds), arguments)
    # GTIN 9999 is at products of two categories, and at more titles than it may; the last 20 pictures are one.
    assert result.counts.ignored_variants == {"gtin": 1}
    neighbours: dict[str, set[str]] = {product: {product} for product in result.all}
    for i in range(300):
        neighbours[f"north:{i}"] |= {f"north:{j}" for j in range(i // 3 * 3, i // 3 * 3 + 3)}
        if i >= 150:
            same = range(280, 300) if i >= 280 else (i, i ^ 1)
            neighbours[f"south:{i}"] |= {f"south:{j}" for j in same}
            if i % 5 == 0:
                neighbours[f"south:{i}"].add(f"north:{i}")
                neighbours[f"north:{i}"].add(f"south:{i}")
    for i in range(3):
        neighbours[f"south:{i}"].add(f"north:{i * 5}")
    for product, others in neighbours.items():
        assert {result.split_of[other] for other in others} == {result.split_of[product]}
    plain = Splitter(SplitSettings())
    titled = [product for product in result.all if TITLE in result.all[product]]
    alone = {product: plain.split({"title": text(result, product, TITLE)}, "") for product in titled}
    moved = {product for product in alone if alone[product] != result.split_of[product]}
    assert len(moved) > 50 and not moved & {"south:7"}
