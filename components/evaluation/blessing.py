"""Categories that fall short, for a model's blessing."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.evaluation import figures
from components.evaluation.objectives import unpack_checks
from modules.metrics import check_categories, check_change
from modules.metrics.checks import pooled_f1

F1, EXAMPLES, SUMS = "_category_f1", "_category_examples", "_category_sums"
"""Arrays that :class:`CheckCategories` reads; private: TFMA does not write them."""


def metric_key(name: str, model: str, objective: str, class_id: int | None = None) -> metric_types.MetricKey:
    """The key of a figure; ``class_id``: of a category."""
    sub_key = None if class_id is None else metric_types.SubKey(class_id=class_id)
    # example_weighted stays None: the thresholds of a MetricsSpec look for that.
    return metric_types.MetricKey(
        name=name, model_name=model, output_name=objective, sub_key=sub_key, example_weighted=None
    )


class CheckCategories:
    """Counts the categories that fall short, as a derived metric.

    TFMA's own thresholds per sub-key fail a model for every slice and every category that has no figure.
    """

    def __init__(self, objective: str, checks: dict[str, Any], candidate: str, baseline: str | None):
        self._objective = objective
        self._checks = checks
        self._candidate = candidate
        self._baseline = baseline

    def __call__(self, metrics: metric_types.MetricsDict) -> metric_types.MetricsDict:
        checks = unpack_checks(self._checks)
        names = (figures.FAILED, figures.WORSE, figures.REST_F1)
        failed, worse, rest = (metric_key(name, self._candidate, self._objective) for name in names)
        f1 = metrics.get(metric_key(F1, self._candidate, self._objective))
        if f1 is None:  # not the overall slice; a threshold's metric must be there all the same
            return {failed: float("nan"), worse: float("nan"), rest: float("nan")}
        examples = metrics[metric_key(EXAMPLES, self._candidate, self._objective)]
        pooled = self._pooled(metrics, self._candidate, examples, checks.minimum)
        result = {failed: float(len(check_categories(checks, f1, examples, pooled))), worse: 0.0, rest: pooled}
        before = None
        if self._baseline is not None:
            before = metrics.get(metric_key(F1, self._baseline, self._objective))
        if before is not None and self._baseline is not None:
            pooled_before = self._pooled(metrics, self._baseline, examples, checks.minimum)
            result[worse] = float(len(check_change(checks, f1, pooled, before, pooled_before, examples)))
        return result

    def _pooled(self, metrics: metric_types.MetricsDict, model: str, examples: np.ndarray, minimum: int) -> float:
        sums = metrics[metric_key(SUMS, model, self._objective)]
        return pooled_f1(sums.tp, sums.predicted, sums.support, examples, minimum)
