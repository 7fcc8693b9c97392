"""A small shop to label: taxonomy, batches, products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labelling.content import Batch, Item, Neighbour, Product, RuleFacts, Run
from labelling.store import Store, importing
from modules.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals", "Bags > Wallets", "Bags > Totes"])
BOOTS, SANDALS, WALLETS, TOTES = (
    TREE.find(path).id for path in ("Shoes > Boots", "Shoes > Sandals", "Bags > Wallets", "Bags > Totes")
)
KINDS = {"exclusive": "exclusive", "rule_based": "multi_label"}
NOW = 1_800_000_000_000_000


def item(rank: int, product: str | None = None, **more: Any) -> Item:
    return Item(
        rank=rank,
        product_id=product or f"p{rank}",
        source=more.pop("source", "margin"),
        suggestions=more.pop("suggestions", ((BOOTS, 0.6), (SANDALS, 0.3))),
        **more,
    )


def batch(count: int = 10, name: str = "round-1", first: int = 0, **more: Any) -> Batch:
    items = [item(first + rank) for rank in range(count)]
    return Batch(name, more.pop("objective", "exclusive"), more.pop("items", items), **more)


def product(name: str, **fields: str) -> Product:
    found = {"title": f"Title of {name}", "retailer": "Shop", **fields}
    return Product(name, found, predictions={"exclusive": ((BOOTS, 0.6), (SANDALS, 0.3))})


def fill(store: Store, *batches: Batch, wanted: int = 1, products: Sequence[Product] | None = None) -> None:
    """A store that is ready to label in."""
    with store.write() as connection:
        importing.taxonomy(connection, TREE, NOW)
        importing.objectives(connection, KINDS)
        for one in batches:
            importing.batch(connection, one, NOW, wanted=wanted)
        names = {item.product_id for one in batches for item in one.items}
        importing.products(connection, products or [product(name) for name in sorted(names)], "run-1", NOW)


def near(store: Store, of: str, *others: str) -> None:
    """Makes ``others`` near-duplicates of a product."""
    with store.write() as connection:
        importing.products(connection, [product(name) for name in others], None, NOW)
        importing.neighbours(connection, [Neighbour(of, other, "duplicate", 0.99) for other in others])


def measure(store: Store) -> None:
    """Two runs that know the boots: metrics, a confusion, a rule with what it catches, misses and gets wrong."""
    boots = {"all": [{"field": "title", "word": ["boot", "boots"]}, {"not": {"field": "title", "word": "cut"}}]}
    counts = {"products": 40, "alone": 7, "judged": 5, "right": 4}
    rule = RuleFacts("boots-title", BOOTS, boots, counts, {"catches": ["p1"], "wrong": ["p2"]})
    with store.write() as connection:
        for number, f1 in enumerate((0.512, 0.634)):
            figures = {"f1": f1, "f1/lower": f1 - 0.1, "f1/upper": f1 + 0.1}
            figures |= {"precision": 0.7, "recall": 0.6, "examples": 9}
            accuracy = {"accuracy": 0.7 + 0.1 * number, "accuracy/lower": 0.6, "accuracy/upper": 0.9}
            facts = {
                "metrics": {"exclusive": accuracy}, "products": {"train": 1234, "test": 56},
                "labels": {"exclusive/random": 78}, "blessed": bool(number), "model": [["model", "lsa"]],
            }  # fmt: skip
            confusions = {("exclusive", BOOTS, SANDALS): (3, ["p3"]), ("exclusive", WALLETS, BOOTS): (2, ["p4"])}
            run = Run(
                f"run-{number + 1}", "shop", NOW + number, facts, {("exclusive", BOOTS): figures}, confusions,
                [rule], {BOOTS: ({"labelled": 6, "missed": 1}, ["p5"])},
            )  # fmt: skip
            importing.run(connection, run)
