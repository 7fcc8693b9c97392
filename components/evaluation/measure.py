"""From a batch of products to the facts that metrics add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluation.inputs import EvaluatedBatch, first_values, needed_output, output_of, ragged
from modules.arrays import Float32Array, Float64Array, Int64Array, IntpArray
from modules.metrics import ScoreStore
from modules.objectives import kind_named

Block = tuple[Float32Array, IntpArray, Int64Array, Float64Array]
"""Scores of some products and classes, rows and classes of the labels among them, the products' weights."""


@dataclass(frozen=True)
class EvaluatedProduct:
    """One product without a batch dimension: its label or labels, the classes that it is known not to be, its weight
    (None: one), its outputs."""

    labels: npt.NDArray[Any]
    denied: npt.NDArray[Any]
    weight: float | None
    scores: Float32Array
    thresholds: Float32Array | None


@dataclass(frozen=True)
class MeasuredFacts:
    """The facts of a batch's measured products, where these stand in it, and their scores (None: not looked at).

    ``overall``: these are all products, not a slice's.
    """

    facts: Any
    rows: IntpArray
    scores: Float32Array | None
    n_classes: int
    overall: bool = True

    def take(self, rows: IntpArray, n: int) -> MeasuredFacts:
        """The measured ones among ``rows`` of a batch of ``n`` products, without scores."""
        wanted = np.zeros(n, bool)
        wanted[rows] = True
        kept = np.flatnonzero(wanted[self.rows])
        return MeasuredFacts(self.facts.take(kept), self.rows[kept], None, self.n_classes, overall=False)

    def without_scores(self) -> MeasuredFacts:
        return MeasuredFacts(self.facts, self.rows, None, self.n_classes, self.overall)

    def labels(self) -> tuple[IntpArray, Int64Array]:
        """Rows (among the measured products) and classes of the labels."""
        rows, classes = self.facts.labels()
        return rows, classes

    def store(self, scores: ScoreStore) -> None:
        """Adds the scores to ``scores``."""
        if self.scores is not None and len(self.facts):
            scores.add(self.scores, *self.labels(), self.facts.weight)

    def blocks(self, width: int) -> Iterator[tuple[int, Block]]:
        """The scores cut into blocks of ``width`` classes: the first class of each, and what its AUC needs."""
        if self.scores is None or not len(self.facts):
            return
        rows, classes = self.labels()
        order = np.argsort(classes, kind="stable")
        rows, classes = rows[order], classes[order]
        bounds = np.searchsorted(classes, np.arange(0, self.n_classes + width, width))
        for index, first in enumerate(range(0, self.n_classes, width)):
            part = slice(bounds[index], bounds[index + 1])
            scores = np.ascontiguousarray(self.scores[:, first : first + width])
            yield first, (scores, rows[part], classes[part] - first, self.facts.weight)


@dataclass(frozen=True)
class Measure:
    """How an objective is read; the fields are those of :class:`components.evaluation.metrics.ObjectiveMetrics`."""

    kind: str
    label_key: str
    no_key: str
    weight_key: str | None
    probabilities_key: str
    thresholds_key: str
    threshold: float
    top_k: int
    model_name: str

    def batch(self, batch: EvaluatedBatch) -> MeasuredFacts:
        """The facts of a batch as TFMA's extractors left it."""
        scores = needed_output(batch.predictions, self.probabilities_key, self.model_name)
        weights = None
        if self.weight_key is not None:
            # Without a weight nobody knows how a product came to be labelled: it is not measured on.
            weights = first_values(batch.features.get(self.weight_key), batch.n, 0.0)
        offsets, labels = ragged(batch.features.get(self.label_key), batch.n)
        denied = ragged(batch.features.get(self.no_key), batch.n) if self.no_key else None
        return self._facts(offsets, labels, denied, scores, weights, self._thresholds(batch.predictions))

    def product(self, features: Any, predictions: Any) -> EvaluatedProduct:
        """One product as TFMA's own extractors hand it over."""
        scores = needed_output(predictions, self.probabilities_key, self.model_name).reshape(-1)
        labels = _classes(features.get(self.label_key))
        denied = _classes(features.get(self.no_key) if self.no_key else None)
        weight = None
        if self.weight_key is not None:
            weights = features.get(self.weight_key)
            values = np.zeros(0) if weights is None else np.asarray(getattr(weights, "values", weights)).reshape(-1)
            weight = float(values[0]) if len(values) else 0.0
        return EvaluatedProduct(labels, denied, weight, scores, self._thresholds(predictions))

    def products(self, products: Sequence[EvaluatedProduct]) -> MeasuredFacts:
        """The facts of products that came one by one."""
        offsets, labels = _joined([p.labels for p in products])
        denied = _joined([p.denied for p in products]) if self.no_key else None
        scores = np.stack([p.scores for p in products])
        weights = None if self.weight_key is None else np.array([p.weight for p in products])
        given = [p.thresholds for p in products if p.thresholds is not None]
        thresholds = np.stack(given) if given else None
        return self._facts(offsets, labels, denied, scores, weights, thresholds)

    def _thresholds(self, predictions: Any) -> npt.NDArray[Any] | None:
        if not self.thresholds_key:
            return None
        return output_of(predictions, self.thresholds_key, self.model_name)

    def _facts(
        self, offsets: Any, labels: Any, denied: Any, scores: Any, weights: Any, thresholds: Any
    ) -> MeasuredFacts:
        facts, rows, scores = kind_named(self.kind).facts(
            (offsets, labels), denied, scores, weights, self.threshold if thresholds is None else thresholds, self.top_k
        )
        kept = scores if len(rows) == len(scores) else scores[rows]
        return MeasuredFacts(facts, rows, kept, scores.shape[1])


def _classes(feature: Any) -> Int64Array:
    """Class indices of one product."""
    if hasattr(feature, "values") and not isinstance(feature, np.ndarray):
        feature = feature.values
    # TFMA hands over an empty list as an array of floats.
    return np.zeros(0, np.int64) if feature is None else np.asarray(feature).reshape(-1).astype(np.int64)


def _joined(lists: Sequence[npt.NDArray[Any]]) -> tuple[Int64Array, npt.NDArray[Any]]:
    """Offsets (n + 1) and values."""
    return np.concatenate([[0], np.cumsum([len(values) for values in lists])]).astype(np.int64), np.concatenate(lists)
