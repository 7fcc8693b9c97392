"""A catalogue to play labelling on: products of known category, some of them held out to measure on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from modules.arrays import Int64Array
from modules.errors import InputError, Problem
from modules.feeds.mapping import Product
from modules.feeds.splitting import Splitter
from modules.rules import RuleSet
from modules.rules.engine import RuleEngine
from modules.settings.feed import SplitSettings
from modules.taxonomy import Taxonomy


@dataclass(frozen=True)
class LabelledCatalogue:
    """Products with their truth.

    Attributes:
      products: of distinct titles, in the feed's order.
      taxonomy: the tree of their categories; its exclusive ones are the classes, in that order.
      truth: int64 array of shape (products,): each product's class.
    """

    products: list[Product]
    taxonomy: Taxonomy
    truth: Int64Array

    @property
    def classes(self) -> int:
        return len(self.taxonomy.exclusive)

    def fingerprint(self) -> str:
        """Changes with any product's id, text, vector or category, and with what else is known of a category."""
        digest = hashlib.sha256()
        for product in self.products:
            vectors = {name: vector.tobytes() for name, vector in sorted(product.vectors.items())}
            digest.update(repr((product.id, sorted(product.text.items()), vectors, product.truth)).encode())
        for category in self.taxonomy.exclusive:
            if len(category.texts) > 1:
                digest.update(repr(category.texts).encode())
        return digest.hexdigest()[:16]

    def held_out(self, share: float, seed: int) -> tuple[Int64Array, Int64Array]:
        """The rows of the pool, and those held out: drawn at random, ``share`` of them all; both ascending.

        Variants of one article are drawn together, as :class:`modules.feeds.splitting.Splitter` has them; so the share
        may be missed by a part of a group.
        """
        order = np.random.default_rng(seed).permutation(len(self.products))
        _, group = np.unique(self._groups(), return_inverse=True)
        first = np.full(len(order), len(order))
        np.minimum.at(first, group[order], np.arange(len(order)))
        # Each group whole, where the first of its rows was drawn.
        order = order[np.argsort(first[group[order]], kind="stable")]
        ends = np.flatnonzero(np.diff(group[order])) + 1
        count = round(share * len(order))
        if len(ends):
            count = int(ends[np.abs(ends - count).argmin()])
        return np.sort(order[count:]), np.sort(order[:count])

    def _groups(self) -> list[int]:
        """For each product a number that its variants have, too."""
        splitter = Splitter.among(SplitSettings(), self.products)
        keys = (splitter.key(product.text, product.id) for product in self.products)
        return [(splitter.variants_of(key) or key)[0] for key in keys]


def catalogue_of(products: Iterable[Product], *, minimum: int, described: Taxonomy | None = None) -> LabelledCatalogue:
    """The first product of each title, case and blanks aside, of categories with at least ``minimum`` such products.

    Args:
      products: of a feed.
      minimum: products that a category has to have.
      described: the descriptions and synonyms that it has are known here, too.

    Raises:
      InputError: fewer than two categories are left.
    """
    seen: set[str] = set()
    distinct = []
    for product in products:
        title = " ".join(product.text.get("title", "").lower().split())
        if title and product.truth and title not in seen:
            seen.add(title)
            distinct.append(product)
    counts = Counter(product.truth for product in distinct)
    kept = [product for product in distinct if counts[product.truth] >= minimum]
    paths = {product.truth for product in kept}
    if len(paths) < 2:
        expected = f"at least two true categories with {minimum} products of distinct titles each"
        hint = "feed.fields.truth names the column with the true category; --minimum lowers the bound"
        raise InputError(Problem("the feed", f"{expected}; it has {len(paths)}", hint=hint))
    taxonomy = Taxonomy.from_paths(sorted(paths), exclusive="given")
    if described is not None:
        taxonomy = taxonomy.described_as(described)
    index = {category.path: i for i, category in enumerate(taxonomy.exclusive)}
    return LabelledCatalogue(kept, taxonomy, np.array([index[product.truth] for product in kept], np.int64))


def rule_labels(catalogue: LabelledCatalogue, rules: RuleSet) -> sparse.csr_matrix:
    """What rules say: bool matrix (products, categories of the catalogue's taxonomy), with their ancestors.

    Categories that no product of the catalogue has are left out, as the catalogue's taxonomy has none of them.
    """
    engine = RuleEngine(rules)
    index = {tuple(category.path): number for number, category in enumerate(catalogue.taxonomy)}
    rows, columns = [], []
    for row, product in enumerate(catalogue.products):
        for name in engine.categories(product.text):
            number = index.get(tuple(rules.taxonomy[name].path))
            if number is not None:
                rows.append(row)
                columns.append(number)
    shape = (len(catalogue.products), len(catalogue.taxonomy))
    return sparse.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape)
