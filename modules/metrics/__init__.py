"""What the evaluation measures, in NumPy alone: arrays in, arrays and intervals out.

Everything is weighted (weight = 1 / inclusion probability), everything that is summed up over products can be merged
from parts (:class:`ExclusiveCounts`, :class:`MultiLabelCounts`, :class:`ScoreStore`), and nothing loops over products.
"""

from __future__ import annotations

from modules.metrics.auc import ScoreStore, auc_exclusive, auc_multi_label
from modules.metrics.calibration import expected_calibration_error, fit_temperature, log_loss
from modules.metrics.checks import CategoryChecks, FailedCategory, check_categories, check_change
from modules.metrics.exclusive import ExclusiveCounts, ExclusiveFacts, ExclusiveReport, exclusive_metrics
from modules.metrics.hierarchy import Hierarchy
from modules.metrics.intervals import Interval, proportion_interval, ratio_interval, z_of
from modules.metrics.multi_label import MultiLabelCounts, MultiLabelFacts, MultiLabelReport, multi_label_metrics
from modules.metrics.per_class import ClassReport, ClassSums
from modules.metrics.thresholds import fit_thresholds

__all__ = [
    "CategoryChecks",
    "ClassReport",
    "ClassSums",
    "ExclusiveCounts",
    "ExclusiveFacts",
    "ExclusiveReport",
    "FailedCategory",
    "Hierarchy",
    "Interval",
    "MultiLabelCounts",
    "MultiLabelFacts",
    "MultiLabelReport",
    "ScoreStore",
    "auc_exclusive",
    "auc_multi_label",
    "check_categories",
    "check_change",
    "exclusive_metrics",
    "expected_calibration_error",
    "fit_temperature",
    "fit_thresholds",
    "log_loss",
    "multi_label_metrics",
    "proportion_interval",
    "ratio_interval",
    "z_of",
]
