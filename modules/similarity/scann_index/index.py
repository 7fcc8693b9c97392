"""The index of a catalogue: a global tree, partitions, and the vectors themselves, mapped, for exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.errors import InputError, Problem, reason
from modules.similarity.changes import Rows
from modules.similarity.folder import (
    MANIFEST,
    Manifest,
    new_folder,
    read_manifest,
    settings_of,
    write_facts,
    write_manifest,
)
from modules.similarity.items import Embedding, Items, column
from modules.similarity.protocol import Queries, SearchResult, Within, check_search
from modules.similarity.scann_index.compared import compare
from modules.similarity.scann_index.rescoring import Rescoring
from modules.similarity.scann_index.rescoring import write as write_rescoring
from modules.similarity.scann_index.restricted import Restricted, Route
from modules.similarity.scann_index.results import merge
from modules.similarity.scann_index.searcher import Searcher
from modules.similarity.scann_index.settings import Effort, ScannSettings

_WHOLE = "global"
_PARTITION = "partition-{:05d}"
_RESCORING = "rescoring"


@dataclass
class Partition:
    """Products that are searched together, as a rule those below one category.

    Attributes:
      name: the category's id; "" for products without.
      start, end: its rows of those that the index was built from.
      searcher: None: its products are compared one by one.
      added: int64 rows of products that came since.
    """

    name: str
    start: int
    end: int
    searcher: Searcher | None = None
    added: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))


class ScannIndex:
    """Implements :class:`modules.similarity.protocol.Index`.

    Attributes:
      rows: products and vectors.
      whole: the global tree; None: there are few products, which are compared one by one.
      partitions: in the order of their rows; none: the index has only the global tree.
      facts: what was measured, as JSON values; saved with the index.
    """

    kind: ClassVar[str] = "scann"

    def __init__(
        self,
        rows: Rows,
        settings: ScannSettings,
        whole: Searcher | None,
        partitions: Sequence[Partition] = (),
        facts: dict[str, Any] | None = None,
    ):
        self.rows = rows
        self.whole = whole
        self.partitions = list(partitions)
        self.facts = dict(facts or {})
        self._settings = settings
        self._restricted = Restricted(self)
        for searcher in self._searchers():
            searcher.refining = Rescoring(rows)
        if settings.mapped:
            self._rescore(Rescoring(rows))

    @classmethod
    def build(
        cls, items: Items, settings: ScannSettings, seed: int = 0, partitions: Sequence[tuple[str, int]] = ()
    ) -> ScannIndex:
        """An index over ``items``; the same seed gives a similar one: ScaNN's clustering differs from run to run.

        Args:
          partitions: name and number of products of each; the items lie in their order, partition after partition.

        Raises:
          ValueError: the partitions' products are not as many as the items.
          InputError: an id twice, or a vector that is not finite.
        """
        if partitions and sum(count for _, count in partitions) != len(items):
            raise ValueError(f"partitions of {len(items)} products in all")
        settings = settings.for_size(len(items), items.dimension)
        rows = Rows.of(items)
        vectors, embedded = items.vectors, rows.embedded
        numbers = np.arange(len(items))
        whole = None
        if np.count_nonzero(embedded) >= settings.min_products:
            whole = Searcher.build(vectors, numbers, settings, seed, settings.leaves)
            if whole is not None:
                whole.efforts = settings.efforts
        made, start = [], 0
        for name, count in partitions:
            end = start + count
            # One that holds nearly everything is the global tree.
            own = count < 0.9 * len(items) and np.count_nonzero(embedded[start:end]) >= settings.min_products
            searcher = Searcher.build(vectors[start:end], numbers[start:end], settings, seed) if own else None
            made.append(Partition(name, start, end, searcher))
            start = end
        return cls(rows, settings, whole, made)

    @classmethod
    def load(cls, folder: str | Path, embedding: Embedding | None = None) -> ScannIndex:
        """See :meth:`modules.similarity.protocol.Index.load`; vectors and texts stay on the disk, mapped."""
        path = Path(folder)
        manifest = read_manifest(path, cls.kind, embedding)
        settings = settings_of(ScannSettings, manifest, path)
        rows = Rows.map(path, manifest.embedding, manifest.dimension)
        try:
            layout = manifest.facts["layout"]
            partitions = []
            for number, entry in enumerate(layout["partitions"]):
                searcher = _load(path / _PARTITION.format(number), entry["tree"])
                added = np.asarray(entry["added"], np.int64)
                partitions.append(
                    Partition(str(entry["name"]), int(entry["start"]), int(entry["end"]), searcher, added)
                )
            whole = _load(path / _WHOLE, layout["tree"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            hint = "build the index again with `shelfmark run --from ScannIndex`"
            problem = f"partitions and trees of an index ({reason(error)})"
            raise InputError(Problem(str(path / MANIFEST), problem, key="facts.layout", hint=hint)) from None
        facts = {name: value for name, value in manifest.facts.items() if name != "layout"}
        index = cls(rows, settings, whole, partitions, facts)
        if settings.mapped:
            index._rescore(Rescoring.map(path / _RESCORING, rows))
        return index

    def save(self, folder: str | Path) -> None:
        """See :meth:`modules.similarity.protocol.Index.save`."""
        target = new_folder(folder)
        self.rows.write(target)
        if self._settings.mapped:
            write_rescoring(target / _RESCORING, self.rows.base.vectors)
        for number, partition in enumerate(self.partitions):
            if partition.searcher is not None:
                partition.searcher.save(target / _PARTITION.format(number))
        if self.whole is not None:
            self.whole.save(target / _WHOLE)
        base = self.rows.base
        settings = self._settings.model_dump(mode="json")
        write_manifest(target, Manifest(self.kind, base.embedding, base.dimension, len(self), settings, self._facts()))

    def save_facts(self, folder: str | Path) -> None:
        """Writes facts and efforts, which were measured since, into the folder that this index was loaded from.

        Raises:
          InputError: there is no index, or its files are of another size.
        """
        write_facts(Path(folder), self._facts())

    def search(
        self, queries: Queries, k: int, within: Within | None = None, route: Route | None = None
    ) -> SearchResult:
        """See :meth:`modules.similarity.protocol.Index.search`.

        Args:
          route: of a restricted search; None: the cheapest (:mod:`modules.similarity.scann_index.restricted`).
        """
        vectors = check_search(queries, k, self.rows.base.dimension)
        wanted = self._restricted.wanted(within)
        if wanted is not None:
            return self._restricted.search(vectors, k, wanted, route)
        if self.whole is not None:
            return self.whole.search(vectors, k)
        return self.exact(vectors, k, None)

    def search_partition(self, partition: Partition, vectors: Float32Array, k: int) -> SearchResult:
        """The best ``k`` products of one partition; ``vectors``: float32 (q, d), contiguous."""
        tree = self.tree_of(partition)
        if tree is None:
            return self.exact(vectors, k, None, partition)
        if tree is not self.whole:
            return tree.search(vectors, k)
        mask = np.zeros(len(self.rows.alive), bool)
        mask[partition.start : partition.end] = True
        mask[partition.added] = True
        return self.search(Queries(vectors), k, None if mask.all() else mask)

    def tree_of(self, partition: Partition) -> Searcher | None:
        """The tree that a search of a partition uses; None: the search compares the products one by one."""
        if partition.searcher is not None:
            return partition.searcher
        return self.whole if partition.end - partition.start >= self._settings.min_products else None

    def exact(
        self, vectors: Float32Array, k: int, mask: BoolArray | None = None, partition: Partition | None = None
    ) -> SearchResult:
        """The best ``k`` of the rows in ``mask`` (None: all), of one partition or of all, by comparing them all."""
        base, added = self.rows.base.vectors, self.rows.added
        mask = self.rows.only_comparable(mask)
        if partition is None:
            return compare(vectors, [base, added], k, mask)
        place = slice(partition.start, partition.end)
        older = compare(vectors, [base[place]], k, _some(mask, place))
        older.rows[older.rows >= 0] += partition.start
        if not len(partition.added):
            return older
        newer = compare(vectors, [added[partition.added - len(base)]], k, _some(mask, partition.added))
        numbers = np.where(newer.rows < 0, -1, partition.added[newer.rows])
        return merge([older, SearchResult(numbers, newer.scores)], k)

    def add(self, items: Items) -> None:
        """See :meth:`modules.similarity.protocol.Index.add`; into the trees as they are, without a rebuild."""
        before = len(self.rows.alive)
        partition_of = self._partition_of(items)
        self._take_out(self.rows.add(items))
        rows = np.arange(before, before + len(items))
        if self.whole is not None:
            self.whole.add(items.vectors, rows)
        for number, partition in enumerate(self.partitions):
            of_it = np.flatnonzero(partition_of == number)
            if len(of_it):
                partition.added = np.concatenate([partition.added, rows[of_it]])
                if partition.searcher is not None:
                    partition.searcher.add(items.vectors[of_it], rows[of_it])
        self._restricted.forget()

    def remove(self, ids: Sequence[str]) -> int:
        """See :meth:`modules.similarity.protocol.Index.remove`."""
        rows = self.rows.remove(ids)
        self._take_out(rows)
        self._restricted.forget()
        return len(rows)

    @property
    def rebuild_pays(self) -> bool:
        """Whether so many products came or went that the trees no longer fit them."""
        return self.rows.changed > self._settings.rebuild_share * max(1, len(self.rows.base))

    @property
    def ids(self) -> pa.Array:
        """Ids by row."""
        return self.rows.ids

    @property
    def settings(self) -> ScannSettings:
        """The settings that the index was built with."""
        return self._settings

    def __len__(self) -> int:
        return len(self.rows)

    def _facts(self) -> dict[str, Any]:
        """What the manifest says besides settings: facts, and how the rows lie in trees."""
        partitions = []
        for partition in self.partitions:
            added, tree = partition.added.tolist(), _tree(partition.searcher)
            partitions.append(
                {"name": partition.name, "start": partition.start, "end": partition.end, "added": added, "tree": tree}
            )
        return {**self.facts, "layout": {"tree": _tree(self.whole), "partitions": partitions}}

    def _searchers(self) -> list[Searcher]:
        every = [self.whole, *(partition.searcher for partition in self.partitions)]
        return [searcher for searcher in every if searcher is not None]

    def _rescore(self, rescoring: Rescoring) -> None:
        for searcher in self._searchers():
            searcher.rescoring = rescoring

    def _take_out(self, rows: Int64Array) -> None:
        if not len(rows):
            return
        for searcher in self._searchers():
            searcher.remove(rows)
        for partition in self.partitions:
            partition.added = partition.added[~np.isin(partition.added, rows)]

    def _partition_of(self, items: Items) -> Int64Array:
        """Per item the partition in which its category lies already, -1 for a category that is in none."""
        if not self.partitions:
            return np.full(len(items), -1)
        known = column(self.rows.base.table, "category").to_numpy()
        place = np.full(max(int(known.max(initial=-1)), -1) + 2, -1, np.int64)  # the last one: no category
        for number, partition in enumerate(self.partitions):
            place[np.unique(known[partition.start : partition.end])] = number
        wanted = column(items.table, "category").to_numpy()
        return np.where(wanted < len(place) - 1, place[np.clip(wanted, -1, len(place) - 2)], -1)


def _some(mask: BoolArray | None, place: Any) -> BoolArray | None:
    """The mask of a part of the rows; None where it excludes nothing."""
    part = None if mask is None else mask[place]
    return None if part is None or part.all() else part


def _tree(searcher: Searcher | None) -> dict[str, Any] | None:
    if searcher is None:
        return None
    return {"leaves": searcher.leaves, "efforts": [effort.model_dump(mode="json") for effort in searcher.efforts]}


def _load(folder: Path, tree: dict[str, Any] | None) -> Searcher | None:
    if tree is None:
        return None
    return Searcher.load(folder, int(tree["leaves"]), [Effort.model_validate(effort) for effort in tree["efforts"]])
