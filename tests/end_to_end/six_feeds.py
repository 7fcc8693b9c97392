"""Six small feeds of six shops: each in a format, an encoding and a language of its own, with ids that clash.

``python -m tests.end_to_end.six_feeds FOLDER`` writes them, for the tutorial.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import openpyxl

KINDS = {
    "Shoes > Boots": ("winter boots", "hiking boots", "ankle boots"),
    "Shoes > Sandals": ("beach sandals", "trekking sandals", "flip flops"),
    "Bags > Backpacks": ("day backpack", "laptop backpack", "rucksack"),
    "Bags > Handbags": ("shoulder bag", "clutch", "leather handbag"),
    "Kitchen > Pans": ("frying pan", "saucepan", "wok"),
    "Kitchen > Knives": ("chef's knife", "bread knife", "paring knife"),
    "Lighting > Table lamps": ("desk lamp", "bedside lamp", "reading lamp"),
    "Lighting > Ceiling lamps": ("pendant lamp", "ceiling light", "chandelier"),
    "Textiles > Cushions": ("sofa cushion", "floor cushion", "neck pillow"),
    "Textiles > Blankets": ("wool blanket", "picnic blanket", "throw"),
    "Toys > Puzzles": ("jigsaw puzzle", "wooden puzzle", "3D puzzle"),
    "Toys > Plush": ("teddy bear", "plush rabbit", "cuddly dragon"),
}
HARBOUR = {
    "Shoes > Boots": ("wellingtons",),
    "Shoes > Sandals": ("clogs",),
    "Bags > Backpacks": ("duffel",),
    "Bags > Handbags": ("tote", "pochette"),
    "Kitchen > Pans": ("skillet",),
    "Kitchen > Knives": ("cleaver", "slicer"),
    "Lighting > Table lamps": ("lantern",),
    "Lighting > Ceiling lamps": ("downlight",),
    "Textiles > Cushions": ("bolster",),
    "Textiles > Blankets": ("quilt",),
    "Toys > Puzzles": ("tangram", "brainteaser"),
    "Toys > Plush": ("softie",),
}
"""The same categories in words that no other shop uses: what only people can teach the model."""
_BRANDS = ("Köhler", "Acme", "Nordlys", "Vérité", "Tundra")
_WORDS = ("classic", "light", "für alle", "été", "vintage", "compact", "large", "n° 5")


@dataclass(frozen=True, slots=True)
class Item:
    """A product, before a shop writes it down in its own way."""

    id: str
    title: str
    brand: str
    price: float
    category: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A retailer's feed: how many products it has, how it is written, and which of its categories the feed tells."""

    retailer: str
    file: str
    products: int
    write: Callable[[Path, list[Item]], None]
    known: Callable[[int], bool]
    words: dict[str, tuple[str, ...]] = field(default_factory=lambda: KINDS)


def _cells(item: Item, decimal: str = ".") -> list[str]:
    return [item.id, item.title, item.brand, f"{item.price:.2f}".replace(".", decimal)]


def _write_semicolons(path: Path, items: list[Item]) -> None:
    """As German spreadsheets export it: semicolons, decimal commas, Windows-1252, CR LF."""
    with path.open("w", encoding="cp1252", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["Artikelnummer", "Bezeichnung", "Marke", "Preis", "Kategorie"])
        writer.writerows([*_cells(item, ","), item.category] for item in items)


def _write_json_lines(path: Path, items: list[Item]) -> None:
    rows = (
        {"id": int(i.id), "title": i.title, "brand": i.brand, "price": i.price, "category": i.category.split(" > ")}
        for i in items
    )
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def _write_google_rss(path: Path, items: list[Item]) -> None:
    entries = "".join(
        f"<item><g:id>{i.id}</g:id><title>{escape(i.title)}</title><g:brand>{i.brand}</g:brand>"
        f"<g:price>{i.price:.2f} EUR</g:price><g:product_type>{escape(i.category)}</g:product_type></item>\n"
        for i in items
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">'
    path.write_text(f"{head}<channel><title>Lumen</title>\n{entries}</channel></rss>\n", "utf-8")


def _write_excel(path: Path, items: list[Item]) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Référence", "Désignation", "Marque", "Prix", "Catégorie"])
    for i in items:
        book.active.append([int(i.id), i.title, i.brand, i.price, i.category or None])
    book.save(path)


def _write_tabs(path: Path, items: list[Item]) -> None:
    rows = ["sku\tname\tmanufacturer\tprice", *("\t".join(_cells(item)) for item in items)]
    path.write_text("\ufeff" + "\n".join(rows) + "\n", "utf-16-le")


def _write_json_array(path: Path, items: list[Item]) -> None:
    rows = [
        {"product_id": i.id, "name": i.title, "brand": i.brand, "price": f"£{i.price:.2f}",
         "category": i.category.upper().replace(" > ", "/")}
        for i in items
    ]  # fmt: skip
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")


SHOPS = (
    Shop("bergladen", "bergladen.csv", 60, _write_semicolons, lambda i: True),
    Shop("northway", "northway.jsonl", 60, _write_json_lines, lambda i: True),
    Shop("lumen", "lumen.xml", 60, _write_google_rss, lambda i: True),
    Shop("maison", "maison.xlsx", 60, _write_excel, lambda i: i % 2 == 0),
    Shop("harbour", "harbour.tsv", 72, _write_tabs, lambda i: False, HARBOUR),
    Shop("outlet", "outlet.json", 48, _write_json_array, lambda i: True),
)


def items_of(shop: Shop) -> list[Item]:
    """A shop's products with their true categories, whether its feed tells them or not."""
    rng = random.Random(shop.retailer)
    categories = list(KINDS)
    return [
        Item(
            str(number + 1),
            f"{brand} {rng.choice(shop.words[category])} {rng.choice(_WORDS)} {rng.randrange(10, 990)}",
            brand,
            rng.randrange(900, 25_000) / 100,
            category,
        )
        for number in range(shop.products)
        for category, brand in [(categories[number % len(categories)], rng.choice(_BRANDS))]
    ]


def truths() -> Iterator[tuple[str, str]]:
    """Each product's id in a workflow of all six, and its true category."""
    for shop in SHOPS:
        yield from ((f"{shop.retailer}:{item.id}", item.category) for item in items_of(shop))


def write_feeds(folder: Path) -> list[Path]:
    """Writes the six files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for shop in SHOPS:
        items = items_of(shop)
        told = [
            item if shop.known(number) else Item(item.id, item.title, item.brand, item.price, "")
            for number, item in enumerate(items)
        ]
        shop.write(folder / shop.file, told)
    return [folder / shop.file for shop in SHOPS]


if __name__ == "__main__":
    write_feeds(Path(sys.argv[1]))
