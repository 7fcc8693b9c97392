"""Counts over a run's predictions, in one pass and flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import Int64Array
from modules.counting import counted
from modules.metrics.calibration import BINS, bin_of
from modules.objectives import ObjectiveKind, kind_named
from modules.predictions.columns import PROBABILITY, TITLE, objective_column
from modules.predictions.read import PredictionFiles
from modules.reporting.model import ConfusedPair, Confusion, Predicted
from modules.taxonomy import Category, Taxonomy

TEST = "test"
PAIRS, TITLES = 15, 3
_SHOWN_TOP = 30
"""Top-level categories in the confusion; the others stand together as "other"."""


def read_predicted(files: PredictionFiles, taxonomy: Taxonomy) -> dict[str, Predicted]:
    """Per objective what the predictions look like; memory grows with the categories, not with the products.

    Args:
      files: a run's predictions.
      taxonomy: the one they were made with.
    """
    gathered = {
        name: (_SingleLabel if kind_named(kind).single_label else _MultiLabel)(name, kind_named(kind), taxonomy)
        for name, kind in files.kinds.items()
    }
    columns = [column for counter in gathered.values() for column in counter.columns]
    for split in files.files:
        for batch in files.scan(columns, split):
            for counter in gathered.values():
                counter.add(batch, split == TEST)
    return {name: counter.result(files) for name, counter in gathered.items()}


class _MultiLabel:
    """Counts the assigned categories."""

    def __init__(self, name: str, kind: ObjectiveKind, taxonomy: Taxonomy):
        self.columns = [objective_column(name, kind.membership_column)]
        self.ids = pa.array([category.id for category in taxonomy], pa.string())
        self.predicted = np.zeros(len(self.ids), np.int64)

    def add(self, batch: pa.RecordBatch, test: bool) -> None:
        category_numbers = pc.index_in(batch.column(self.columns[0]).flatten(), value_set=self.ids).drop_null()
        self.predicted += np.bincount(np.asarray(category_numbers), minlength=len(self.ids))

    def result(self, files: PredictionFiles) -> Predicted:
        return Predicted(self.predicted)


class _SingleLabel:
    """Counts predictions and labels per class; of labelled test products also who was taken for whom."""

    def __init__(self, name: str, kind: ObjectiveKind, taxonomy: Taxonomy):
        self.name, self.taxonomy = name, taxonomy
        parts = (kind.membership_column, PROBABILITY, kind.answer_column)
        self.columns = [objective_column(name, part) for part in parts]
        self.classes: Sequence[Category] = taxonomy.exclusive
        self.ids = pa.array([category.id for category in self.classes], pa.string())
        n = len(self.classes)
        self.predicted, self.labelled = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.bins = np.zeros((3, BINS))
        roots = [taxonomy.top(category).id for category in self.classes]
        self.tops = list(dict.fromkeys(roots))
        self.top_of = np.array([self.tops.index(root) for root in roots], np.int64)
        self.top_pairs = np.zeros((len(self.tops), len(self.tops)), np.int64)
        self.mistakes: Counter[tuple[int, int]] = Counter()

    def add(self, batch: pa.RecordBatch, test: bool) -> None:
        n = len(self.classes)
        best = self._classes(batch.column(self.columns[0]))
        label = batch.column(self.columns[2]).to_numpy(zero_copy_only=False)
        self.predicted += np.bincount(best[best >= 0], minlength=n)
        known = (label >= 0) & (label < n) & (best >= 0)
        self.labelled += np.bincount(label[known], minlength=n)
        if not test or not known.any():
            return
        label, best = label[known].astype(np.int64), best[known]
        probability = batch.column(self.columns[1]).to_numpy(zero_copy_only=False)[known].astype(np.float64)
        right = label == best
        bins = bin_of(probability)
        self.bins += np.stack([np.bincount(bins, w, BINS) for w in (np.ones(len(bins)), probability, right)])
        np.add.at(self.top_pairs, (self.top_of[label], self.top_of[best]), 1)
        pairs, counts = np.unique(label[~right] * n + best[~right], return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.mistakes[divmod(pair, n)] += count

    def result(self, files: PredictionFiles) -> Predicted:
        pairs = sorted(self.mistakes.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
        titles = self._titles(files, [pair for pair, _ in pairs])
        return Predicted(
            self.predicted,
            self.labelled,
            self._confusion(),
            [
                ConfusedPair(self.classes[a].text, self.classes[b].text, count, titles.get((a, b), ()))
                for (a, b), count in pairs
            ],
            self.bins if self.bins[0].any() else None,
            np.isin(np.arange(len(self.classes)), sorted(files.guessed.get(self.name, ()))),
        )

    def _classes(self, column: pa.Array) -> Int64Array:
        """Class index per row, -1 where there is no category, or none that the taxonomy knows."""
        if isinstance(column, pa.DictionaryArray):
            known = pc.index_in(column.dictionary, value_set=self.ids).fill_null(-1)
            classes = np.append(np.asarray(known).astype(np.int64), -1)
            return classes[column.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)]
        return np.asarray(pc.index_in(column, value_set=self.ids).fill_null(-1)).astype(np.int64)

    def _confusion(self) -> Confusion | None:
        pairs = self.top_pairs
        if not pairs.any():
            return None
        size = pairs.sum(axis=0) + pairs.sum(axis=1)
        order = np.argsort(-size, kind="stable")
        order = order[size[order] > 0]
        shown, rest = order[:_SHOWN_TOP], order[_SHOWN_TOP:]
        names = [self.taxonomy[self.tops[i]].name for i in shown.tolist()]
        counts = pairs[np.ix_(shown, shown)]
        if len(rest):
            names.append(counted(len(rest), "other"))
            right = pairs[np.ix_(shown, rest)].sum(axis=1)
            below = pairs[np.ix_(rest, shown)].sum(axis=0)
            corner = pairs[np.ix_(rest, rest)].sum()
            counts = np.block([[counts, right[:, None]], [below[None, :], np.array([[corner]])]])
        return Confusion(names, counts)

    def _titles(self, files: PredictionFiles, pairs: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], list[str]]:
        """A few titles per pair. A pass of its own: keeping titles of all mistakes would not be flat memory."""
        titles_by_pair: dict[tuple[int, int], list[str]] = {pair: [] for pair in pairs}
        open_pairs = np.array([a * len(self.classes) + b for a, b in pairs], np.int64)
        for batch in files.scan([self.columns[0], self.columns[2], TITLE], TEST) if pairs else ():
            label = batch.column(1).to_numpy(zero_copy_only=False).astype(np.int64)
            key = np.where(label >= 0, label * len(self.classes) + self._classes(batch.column(0)), -1)
            for row in np.flatnonzero(np.isin(key, open_pairs)).tolist():
                titles = titles_by_pair[divmod(int(key[row]), len(self.classes))]
                title = batch.column(2)[row].as_py() or "(no title)"
                if len(titles) < TITLES and title not in titles:
                    titles.append(title)
            full = [len(titles_by_pair[divmod(pair, len(self.classes))]) >= TITLES for pair in open_pairs.tolist()]
            open_pairs = open_pairs[~np.array(full, bool)]
            if not len(open_pairs):
                break
        return titles_by_pair
