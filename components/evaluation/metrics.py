"""TFMA metrics for a thousand categories: one computation per objective, arrays in the place of a metric per class.

TFMA's ``binarize`` runs every metric once per class and product. Here a combiner collects products into batches and
adds each batch to a few arrays (:mod:`modules.metrics`); the figures per category leave as ordinary TFMA metrics with
the class index as sub-key. The objective's name is TFMA's output name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2

from components.evaluation import figures
from components.evaluation.blessing import EXAMPLES, F1, SUMS, CheckCategories, metric_key
from components.evaluation.inputs import PRODUCTS_KEY, BlockAuc, EvaluatedBatch
from components.evaluation.measure import EvaluatedProduct, Measure, MeasuredFacts
from components.evaluation.objectives import unpack_classes
from modules.metrics import ScoreStore
from modules.objectives import kind_named

_BATCH = 256


class ObjectiveMetrics(metric_types.Metric):
    """All metrics of one objective, per category included.

    Figures per category, and AUC, are worked out for the overall slice alone: with
    :func:`components.evaluation.extractors.custom_extractors` other slices stay small. TFMA's own extractors do not
    tell a metric which slice it sees; with them, every slice has them all.

    Args:
      objective: the name, and TFMA's output name.
      kind: the name of the objective's kind (:mod:`modules.objectives`).
      classes: see :func:`components.evaluation.objectives.pack_classes`.
      label_key, no_key, weight_key, probabilities_key, thresholds_key, threshold: see
        :class:`components.evaluation.objectives.ObjectiveEval`.
      top_k: how many classes the label may be among (exclusive).
      confidence: of the intervals.
      checks: see :func:`components.evaluation.objectives.pack_checks`; None: categories are not checked.
      auc_memory: with TFMA's own extractors: bytes of scores up to which AUC is exact (20,000 products of 1,063
        classes are 81 MiB); beyond it comes from a fine histogram, and ``auc_error`` bounds how far any category's may
        be off. With ours AUC is always exact.
    """

    def __init__(  # noqa: PLR0913 - TFMA gives a metric its parameters one by one
        self,
        objective: str,
        kind: str,
        classes: str,
        label_key: str,
        probabilities_key: str,
        no_key: str = "",
        weight_key: str | None = None,
        thresholds_key: str = "",
        threshold: float = 0.5,
        top_k: int = 5,
        confidence: float = 0.95,
        checks: dict[str, Any] | None = None,
        auc_memory: int = 256 * 2**20,
        name: str | None = None,
    ):
        super().__init__(
            _computations,
            objective=objective,
            kind=kind,
            classes=classes,
            label_key=label_key,
            probabilities_key=probabilities_key,
            no_key=no_key,
            weight_key=weight_key,
            thresholds_key=thresholds_key,
            threshold=threshold,
            top_k=top_k,
            confidence=confidence,
            checks=checks,
            auc_memory=auc_memory,
            name=name or f"{objective}_metrics",
        )


def _computations(  # noqa: PLR0913 - TFMA gives a metric its parameters one by one
    objective: str,
    kind: str,
    classes: str,
    label_key: str,
    probabilities_key: str,
    no_key: str,
    weight_key: str | None,
    thresholds_key: str,
    threshold: float,
    top_k: int,
    confidence: float,
    checks: dict[str, Any] | None,
    auc_memory: int,
    name: str,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,  # the objective is the output
    example_weighted: bool = False,  # weights come from weight_key
) -> metric_types.MetricComputations:
    branches = unpack_classes(classes)[1]
    baselines = {spec.name for spec in (eval_config.model_specs if eval_config else ()) if spec.is_baseline}
    candidates = [model for model in model_names or [""] if model not in baselines]
    result: metric_types.MetricComputations = []
    for model in model_names or [""]:
        measure = Measure(
            kind,
            label_key,
            no_key,
            weight_key,
            probabilities_key,
            thresholds_key,
            threshold,
            top_k,
            model,
        )
        combiner = _Combiner(objective, measure, branches, confidence, auc_memory, model not in baselines)
        # Computations are told apart by the preprocessor's name and the keys.
        reader = Reader(f"{name}/{objective}/{model}", measure)
        key = metric_key("_counts", model, objective)
        result.append(metric_types.MetricComputation(keys=[key], preprocessors=[reader], combiner=combiner))
    if checks and candidates:
        derived = CheckCategories(objective, checks, candidates[0], next(iter(baselines), None))
        keys = [metric_key(n, candidates[0], objective) for n in (figures.FAILED, figures.WORSE, figures.REST_F1)]
        result.append(metric_types.DerivedMetricComputation(keys=keys, result=derived))
    return result


class Reader(metric_types.Preprocessor):
    """Takes out of the extracts what the combiner adds up: the facts of a slice, or a single product."""

    def __init__(self, name: str, measure: Measure):
        super().__init__(name=name)
        self._measure = measure

    def measured(self, batch: EvaluatedBatch) -> MeasuredFacts:
        """The facts of a batch."""
        return batch.once(self.name, lambda: self._measure.batch(batch))

    def process(self, extracts: Mapping[str, Any]) -> Iterator[MeasuredFacts | EvaluatedProduct | BlockAuc]:
        given: Mapping[str, MeasuredFacts] | BlockAuc | None = extracts.get(PRODUCTS_KEY)
        if given is None:
            features = extracts.get(constants.FEATURES_KEY) or {}
            yield self._measure.product(features, extracts[constants.PREDICTIONS_KEY])
        elif not isinstance(given, BlockAuc):
            yield given[self.name]
        elif given.reader == self.name:
            yield given


class _Accumulator:
    """Sums, and whether this is the overall slice; its AUC per block of classes, or the scores that it will come from;
    and single products that wait for a batch."""

    def __init__(self) -> None:
        self.counts: Any = None
        self.scores: ScoreStore | None = None
        self.overall = False
        self.auc: dict[int, np.ndarray] = {}
        self.waiting: list[EvaluatedProduct] = []


class _Combiner(beam.CombineFn):
    def __init__(
        self,
        objective: str,
        measure: Measure,
        branches: list[list[str]],
        confidence: float,
        auc_memory: int,
        per_category: bool,
    ):
        self._objective = objective
        self._measure = measure
        self._branches = branches
        self._confidence = confidence
        self._auc_memory = auc_memory
        # Not for the baseline: TFMA would work out and write differences of every figure of every category.
        self._per_category = per_category

    def create_accumulator(self) -> _Accumulator:
        return _Accumulator()

    def add_input(
        self, accumulator: _Accumulator, element: MeasuredFacts | EvaluatedProduct | BlockAuc
    ) -> _Accumulator:
        if isinstance(element, BlockAuc):
            accumulator.auc[element.first] = element.values
        elif isinstance(element, EvaluatedProduct):
            accumulator.waiting.append(element)
            if len(accumulator.waiting) >= _BATCH:
                self._flush(accumulator)
        else:
            self._add(accumulator, element)
        return accumulator

    def _flush(self, accumulator: _Accumulator) -> None:
        if accumulator.waiting:
            self._add(accumulator, self._measure.products(accumulator.waiting))
            accumulator.waiting = []

    def _add(self, accumulator: _Accumulator, measured: MeasuredFacts) -> None:
        counts = self._counts(accumulator)
        if measured.n_classes != counts.n_classes:
            raise ValueError(
                f"the model's output {self._measure.probabilities_key!r} has {measured.n_classes} classes, "
                f"the evaluation was told {counts.n_classes}"
            )
        accumulator.overall |= measured.overall
        if measured.scores is not None and self._per_category:
            if accumulator.scores is None:
                accumulator.scores = ScoreStore(counts.n_classes, self._auc_memory)
            measured.store(accumulator.scores)
        counts.update(measured.facts)

    def _counts(self, accumulator: _Accumulator) -> Any:
        if accumulator.counts is None:
            accumulator.counts = kind_named(self._measure.kind).empty_counts(len(self._branches))
        return accumulator.counts

    def merge_accumulators(self, accumulators: Iterable[_Accumulator]) -> _Accumulator:
        result = _Accumulator()
        for accumulator in accumulators:
            self._flush(accumulator)
            if accumulator.counts is not None:
                if result.counts is None:
                    result.counts = accumulator.counts
                else:
                    result.counts.merge(accumulator.counts)
            result.overall |= accumulator.overall
            result.auc.update(accumulator.auc)
            if accumulator.scores is not None:
                if result.scores is None:
                    result.scores = accumulator.scores
                else:
                    result.scores.merge(accumulator.scores)
        return result

    def compact(self, accumulator: _Accumulator) -> _Accumulator:
        self._flush(accumulator)
        return accumulator

    def extract_output(self, accumulator: _Accumulator) -> metric_types.MetricsDict:
        self._flush(accumulator)
        counts, model = self._counts(accumulator), self._measure.model_name
        objective_figures = kind_named(self._measure.kind).figures(
            counts, self._branches, self._confidence, self._measure.top_k
        )
        classes = objective_figures.classes
        result: dict[metric_types.MetricKey, Any] = {
            metric_key(name, model, self._objective): value for name, value in objective_figures.values.items()
        }
        if not accumulator.overall:
            return result
        if objective_figures.bins is not None and self._per_category:
            plot = metric_types.PlotKey("calibration_plot", model, self._objective, None, None, None)
            result[plot] = figures.calibration_buckets(objective_figures.bins)
        if self._per_category:
            classes.auc, error = self._auc(accumulator, counts.n_classes)
            result[metric_key("auc", model, self._objective)] = classes.macro_auc
            result[metric_key("auc_error", model, self._objective)] = float(np.nanmax(error, initial=0.0))
            array = figures.category_array(classes)
            result[metric_key(figures.CATEGORIES, model, self._objective)] = array
            result.update(self._category_metrics(array))
        result[metric_key(F1, model, self._objective)] = classes.f1
        result[metric_key(EXAMPLES, model, self._objective)] = classes.examples
        result[metric_key(SUMS, model, self._objective)] = objective_figures.sums
        return result

    @staticmethod
    def _auc(accumulator: _Accumulator, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
        if accumulator.scores is not None:
            return accumulator.scores.auc()
        values = np.full(n_classes, np.nan)
        for first, block in accumulator.auc.items():
            values[first : first + len(block)] = block
        return values, np.zeros(n_classes)

    def _category_metrics(self, array: np.ndarray) -> metric_types.MetricsDict:
        """The figures of every category that has a label or a prediction."""
        columns = [(name, array[figures.COLUMNS.index(name)]) for name in figures.PER_CATEGORY]
        result: metric_types.MetricsDict = {}
        for category in np.flatnonzero(np.isfinite(array[figures.COLUMNS.index("f1")])):
            sub_key = metric_types.SubKey(class_id=int(category))
            for name, values in columns:
                if np.isfinite(values[category]):
                    key = metric_types.MetricKey(name, self._measure.model_name, self._objective, sub_key, None, None)
                    result[key] = float(values[category])
        return result
