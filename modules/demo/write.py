"""Writes a whole demo catalogue into a folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from modules.demo.categories import CATEGORIES, EXCLUSIVE, taxonomy_yaml
from modules.demo.feeds import ROWS, Feeds, replacing
from modules.demo.labels import Labels, Row, to_line
from modules.demo.pictures import picture
from modules.demo.products import COLUMNS, Product, generate
from modules.demo.rules import rule_count, rules_yaml
from modules.demo.words import COLORS, RETAILERS
from modules.errors import InputError, Problem

MAX_PRODUCTS = 10_000_000  # Product numbers have seven digits.
IMAGE_SIZES = range(16, 1025)
TRUTH = "truth.jsonl.gz"
"""Beside the feed: ``id`` and ``category`` of every product."""
_IMAGE = COLUMNS.index("image")
_FILES = (
    *(f"feed/{name}" for retailer in RETAILERS for name in retailer.files),
    "taxonomy.yaml",
    "rules.yaml",
    "labels.jsonl",
    TRUTH,
)


@dataclass(frozen=True)
class DemoSummary:
    """What was written.

    Attributes:
      output: the folder.
      products: number of products (bad records not counted), ``retailers`` the same per retailer.
      bad_records: number of unusable records among the feeds' records, by kind.
      files: everything written but the images, relative to ``output``.
      labels: number of label rows by source; labelled_products: number of products they are about.
      categories, exclusive_categories, rules: how many there are.
      images: number of image files, of which ``broken_images`` cannot be read; ``lost_images`` are named in the feeds,
        but have no file.
    """

    output: Path
    products: int
    seed: int
    retailers: dict[str, int]
    bad_records: dict[str, int]
    files: tuple[str, ...]
    labels: dict[str, int]
    labelled_products: int
    categories: int = len(CATEGORIES)
    exclusive_categories: int = len(EXCLUSIVE)
    rules: int = field(default_factory=rule_count)
    images: int = 0
    broken_images: int = 0
    lost_images: int = 0


def write_demo(
    output: Path,
    *,
    products: int = 4000,
    seed: int = 7,
    images: bool = True,
    image_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> DemoSummary:
    """Writes the demo catalogue: feeds, taxonomy, rules, labels, the truth and images; in flat memory.

    The same arguments give the same bytes, and a larger catalogue begins with the products of a smaller one. Files of
    an earlier call are replaced; other files in ``output`` stay.

    Args:
      output: folder, made where missing. Gets ``feed/``, ``taxonomy.yaml``, ``rules.yaml``, ``labels.jsonl``,
        ``truth.jsonl.gz`` (id and true category of each product; no part of the feed) and ``images/``.
      products: 0 to 10,000,000.
      seed: any integer; 64 bits of it count.
      images: without, no image is drawn and the feeds name none.
      image_size: width and height in pixels, 16 to 1,024.
      progress: called with the number of products done and in all, every 1,000 products and at the end.

    Raises:
      InputError: a number is out of range, or ``output`` is a file.
    """
    _check(output, products, image_size)
    labels = Labels(products, seed)
    pictures = _Pictures(output, image_size) if images else None
    retailers: Counter[int] = Counter()

    def passing() -> Iterator[Product]:
        for index, generated in enumerate(generate(seed, 0, products)):
            product = generated if images else _without_image(generated)
            if pictures is not None and product.image:
                pictures.draw(index, product)
            labels.see(index, product)
            retailers[product.retailer] += 1
            yield product
            if progress is not None and (index + 1) % ROWS == 0:
                progress(index + 1, products)

    bad_records = _write_feeds(output, passing())
    states = pictures.states if pictures else Counter()
    rows = _write_beside_feed(output, labels)
    if progress is not None:
        progress(products, products)
    return DemoSummary(
        output=output,
        products=products,
        seed=seed,
        retailers={retailer.name: retailers[index] for index, retailer in enumerate(RETAILERS)},
        bad_records=bad_records,
        files=_FILES,
        labels=dict(Counter(row["source"] for row in rows)),
        labelled_products=len({row["product_id"] for row in rows}),
        images=states["good"] + states["broken"],
        broken_images=states["broken"],
        lost_images=states["lost"],
    )


_PATHS = tuple(json.dumps(category.path, ensure_ascii=False).encode()[1:-1] for category in EXCLUSIVE)


def _write_feeds(output: Path, products: Iterable[Product]) -> dict[str, int]:
    """Writes the feeds and the truth beside them; returns the number of unusable records by kind."""
    with ExitStack() as stack:
        feeds = Feeds(output / "feed", stack)
        truth = stack.enter_context(replacing(output / TRUTH))
        for index, product in enumerate(products):
            feeds.add(index, product)
            truth.write(b'{"id": "%s", "category": "%s"}\n' % (product.record[0].encode(), _PATHS[product.category]))
    return feeds.bad


def _write_beside_feed(output: Path, labels: Labels) -> list[Row]:
    """Writes taxonomy, rules and labels; returns the rows of labels."""
    rows = list(labels.rows())
    lines = {"taxonomy.yaml": [taxonomy_yaml().encode()], "rules.yaml": [rules_yaml().encode()]}
    for name, content in (lines | {"labels.jsonl": map(to_line, rows)}).items():
        with replacing(output / name) as file:
            file.writelines(content)
    return rows


def _without_image(product: Product) -> Product:
    return product._replace(record=(*product.record[:_IMAGE], "", *product.record[_IMAGE + 1 :]))


class _Pictures:
    def __init__(self, output: Path, size: int):
        self._output, self._size = output, size
        self.states: Counter[str] = Counter()
        for shard in range(256):
            (output / "images" / f"{shard:02x}").mkdir(parents=True, exist_ok=True)

    def draw(self, index: int, product: Product) -> None:
        """Draws the product's image, half a file if it is to be broken, none if it is to be lost."""
        self.states[product.image] += 1
        path = self._output / product.record[_IMAGE]
        if product.image == "lost":
            path.unlink(missing_ok=True)
            return
        variation = index * 2654435761 >> 7 & 4095
        data = picture(EXCLUSIVE[product.category].shape, COLORS[product.color][1], self._size, variation)
        path.write_bytes(data[: len(data) // 2] if product.image == "broken" else data)


def _check(output: Path, products: int, image_size: int) -> None:
    problems = []
    if not 0 <= products <= MAX_PRODUCTS:
        problems.append(Problem("", f"0 to {MAX_PRODUCTS:,}", key="products", value=str(products)))
    if image_size not in IMAGE_SIZES:
        expected = f"{IMAGE_SIZES.start} to {IMAGE_SIZES.stop - 1:,} pixels"
        problems.append(Problem("", expected, key="image_size", value=str(image_size)))
    if next((p for p in (output, *output.parents) if p.exists()), output.parent).is_file():
        problems.append(Problem(str(output), "a folder, not a file", key="output"))
    if problems:
        raise InputError(problems)
