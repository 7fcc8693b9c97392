"""The demo's labels: what three people said about a few hundred products, now and then wrongly."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from modules.demo.categories import EXCLUSIVE
from modules.demo.products import Product
from modules.objectives import DEFAULT_OBJECTIVE

ANNOTATORS = ("annotator-1", "annotator-2", "annotator-3")
_START = datetime(2026, 1, 5, 9, tzinfo=UTC)
_BATCH = 100

Row = dict[str, Any]


def random_labels(products: int) -> int:
    """How many of ``products`` are picked at random: 500 of 4,000, 1,145 of a million, at most half."""
    return min((products + 1) // 2, round(500 * (products / 4000) ** 0.15))


class Labels:
    """Collects the picked products while the catalogue is written, then says the labels.

    Random picks are drawn without replacement from all products, so each is picked with probability ``inclusion``. The
    others stand for an earlier round of margin sampling (products whose title does not say what they are) and for
    labels brought along from elsewhere.
    """

    def __init__(self, products: int, seed: int):
        self._random = random.Random(f"labels {seed} {products}")  # noqa: S311 - the same labels again
        count = random_labels(products)
        self.inclusion = count / products if products else 0.0
        picks = self._random.sample(range(products), min(products, round(count * 2.5)))
        self._picks = set(picks)
        self._at_random = picks[:count]
        # Margin picks are the first hard ones among these.
        self._others = picks[count:]
        self._wanted = (round(count * 0.16), round(count * 0.05), round(count * 0.03))
        self._seen: dict[int, Product] = {}

    def see(self, index: int, product: Product) -> None:
        """Keeps product number ``index`` if it was picked; called once for every product."""
        if index in self._picks:
            self._seen[index] = product

    def rows(self) -> Iterator[Row]:
        """The rows of ``labels.jsonl``, the oldest first."""
        time = _START
        for n, (product, row) in enumerate(self._judgements()):
            # A working day has room for about 300 labels.
            time += timedelta(seconds=self._random.randint(4, 40)) if n % 300 else timedelta(days=1)
            yield {
                "product_id": product.record[0],
                "objective": DEFAULT_OBJECTIVE,
                **row,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }

    def _judgements(self) -> Iterator[tuple[Product, Row]]:
        margin, imported, rule_based = self._wanted
        others = [self._seen[index] for index in self._others]
        for product in others[:imported]:
            yield product, self._row(product.category, "annotator-3", "import", "import", 1, None)
        for n, index in enumerate(self._at_random):
            product = self._seen[index]
            rows = self._judge(product, "random", n // _BATCH + 1, self.inclusion)
            yield from ((product, row) for row in rows)
        hard = [product for product in others[imported:] if product.hard][:margin]
        for n, product in enumerate(hard):
            yield from ((product, row) for row in self._judge(product, "margin", n // _BATCH + 1, None))
        for n, product in enumerate(others[-rule_based:] if rule_based else ()):
            value = "no" if n % 2 else "yes"
            category = self._neighbour(product.category) if n % 2 else product.category
            row = self._row(category, self._random.choice(ANNOTATORS), "import", "check", 1, None, value)
            yield product, row | {"objective": "rule_based"}

    def _judge(self, product: Product, source: str, batch: int, inclusion: float | None) -> Iterator[Row]:
        """What one person says about a product, or two, or three."""
        first, second, third = self._random.sample(ANNOTATORS, 3)
        chance = self._random.random()
        truth = product.category

        def row(category: int | None, annotator: str, value: str = "yes") -> Row:
            return self._row(category, annotator, source, source, batch, inclusion, value)

        if chance < 0.012:
            yield row(None, first, "skip")
        elif chance < 0.02:
            yield row(None, first, "none_of_these")
        elif chance < 0.03:
            wrong = self._neighbour(truth)
            yield row(wrong, first)
            yield row(wrong, first, "retracted")
            yield row(truth, first)
        elif chance < 0.15:
            said = truth if self._random.random() < 0.93 else self._neighbour(truth)
            yield row(truth, first)
            yield row(said, second)
            if said != truth and self._random.random() < 0.5:
                yield row(truth, third)
        else:
            yield row(truth if chance < 0.995 else self._neighbour(truth), first)

    def _neighbour(self, category: int) -> int:
        """A category that it is easily confused with: of the same top level."""
        top = EXCLUSIVE[category].names[0]
        near = [k for k in (category - 1, category + 1) if 0 <= k < len(EXCLUSIVE) and EXCLUSIVE[k].names[0] == top]
        return self._random.choice(near)

    @staticmethod
    def _row(category: int | None, annotator: str, source: str, batch: str, number: int, inclusion: float | None,
             value: str = "yes") -> Row:  # fmt: skip
        return {
            "category": None if category is None else EXCLUSIVE[category].path,
            "value": value,
            "annotator": annotator,
            "time": "",
            "batch": f"{batch}-{number}",
            "source": source,
            "inclusion_probability": inclusion,
        }


def to_line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
