"""A small shop to label: taxonomy, batches, products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labelling.content import Batch, Item, Neighbour, Product
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
