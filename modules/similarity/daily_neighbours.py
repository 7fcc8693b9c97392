"""Similar products of a day: a table of neighbours, brought up to date by what came, changed or went since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from modules.arrays import Int64Array
from modules.similarity.from_predictions import partition_of_nodes
from modules.similarity.items import Items, Restriction, column
from modules.similarity.layered import LayeredIndex
from modules.similarity.neighbour_table import DIGITS, NeighbourTable
from modules.similarity.protocol import Index, Queries, SearchResult, Within
from modules.taxonomy import Taxonomy

Near = dict[str, Any]
"""A similar product: ``id`` and ``score``."""


class DailyNeighbours:
    """Implements :class:`modules.predictions.documents.Neighbours`.

    A product that the base has as it is keeps its neighbours of the table, without those that went or changed, merged
    by score with an exact comparison of the newer products. All others are searched for in both: the newer products,
    those that have lost neighbours that the table cannot replace, and all where there is no table.

    Args:
      base: an index that nobody else uses. newer, outdated: as :class:`modules.similarity.layered.LayeredIndex` takes.
      count: neighbours per product, at most.
      taxonomy: of the categories. level: neighbours lie below the same category of this level, as in the table; 0: any.
      table: of the base's products, without those that are outdated (``there``), and ``count`` of each; None: none.
    """

    def __init__(
        self, base: Index, newer: Items, outdated: Sequence[str], count: int, taxonomy: Taxonomy, level: int,
        table: NeighbourTable | None,
    ):  # fmt: skip
        self._older = len(base.ids)
        self._index = LayeredIndex(base, newer, outdated)
        self._count, self._table = count, table
        self._of_node, _ = partition_of_nodes(taxonomy, level)
        self._within: dict[int, Within | None] = {}
        self._level = level

    def of(self, ids: list[str]) -> list[list[Near]]:
        """See :class:`modules.predictions.documents.Neighbours`; empty for a product without embedding."""
        rows = self._index.rows.rows_of(ids)
        known = self._table.of(ids) if self._table is not None else [[] for _ in ids]
        near: list[list[Near]] = [[] for _ in ids]
        there = [place for place, row in enumerate(rows) if row >= 0 and self._index.rows.embedded[row]]
        group = self._groups(rows)
        for number, places in groupby(sorted(there, key=lambda place: group[place]), lambda place: group[place]):
            its = list(places)
            kept = [place for place in its if rows[place] < self._older and len(known[place]) == self._count]
            for place, newer in zip(kept, self._search(rows[kept], number, is_newer=True), strict=True):
                near[place] = _best([*known[place], *newer], self._count)
            lost = sorted(set(its).difference(kept))
            for place, anew in zip(lost, self._search(rows[lost], number, is_newer=False), strict=True):
                near[place] = anew
        return near

    def _groups(self, rows: Int64Array) -> Int64Array:
        """Per product the number of its partition."""
        categories = column(self._index.rows.table, "category").to_numpy()
        return self._of_node[categories[rows]]

    def _search(self, rows: Int64Array, group: int, *, is_newer: bool) -> list[list[Near]]:
        """The nearest of some rows, of the newer products or of all, within a partition."""
        if not len(rows):
            return []
        if group not in self._within:
            self._within[group] = self._partition(group)
        queries, within = Queries(self._index.vectors(rows)), self._within[group]
        search = self._index.search_newer if is_newer else self._index.search
        # One more, since each product is nearest to itself.
        return self._named(search(queries, self._count + 1, within), rows)

    def _partition(self, group: int) -> Within | None:
        if not self._level:
            return None
        if group == self._of_node[-1]:
            mask: Within = column(self._index.rows.table, "category").to_numpy() < 0
            return mask
        return Restriction(categories=frozenset(np.flatnonzero(self._of_node[:-1] == group).tolist()))

    def _named(self, result: SearchResult, rows: Int64Array) -> list[list[Near]]:
        names = np.array(result.ids(self._index.ids).to_pylist(), object).reshape(result.rows.shape).tolist()
        scores = np.round(np.minimum(result.scores, 1.0).astype(np.float64), DIGITS).tolist()
        return [
            [
                {"id": name, "score": score}
                for name, row, score in zip(texts, its, values, strict=True)
                if row not in (own, -1)
            ][: self._count]
            for own, texts, its, values in zip(rows.tolist(), names, result.rows.tolist(), scores, strict=True)
        ]


def _best(near: Collection[Near], count: int) -> list[Near]:
    return sorted(near, key=lambda product: -product["score"])[:count]
