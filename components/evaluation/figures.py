"""The names under which figures stand in an evaluation, and the dictionaries that hold them."""

from __future__ import annotations

import math

import numpy as np
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from modules.metrics import ClassReport

FAILED, WORSE, REST_F1 = "categories_failed", "categories_worse", "rest_f1"

PER_CATEGORY = ("precision", "recall", "f1", "auc", "support")
"""Figures that every category has as TFMA metrics of its own (sub-key: the class index); support sums weights."""

CATEGORIES = "categories"
"""The metric with all figures of all categories as one array of shape (len(COLUMNS), n_classes), NaN where a category
has no such figure: with their intervals as single metrics, a thousand categories would be most of a run's time."""

COLUMNS = (
    "precision", "precision/lower", "precision/upper", "recall", "recall/lower", "recall/upper",
    "f1", "f1/lower", "f1/upper", "auc", "support", "predicted", "examples",
)  # fmt: skip
"""Rows of that array; predicted sums weights too, examples is the number of labelled products."""


def category_array(classes: ClassReport) -> np.ndarray:
    """The value of CATEGORIES: float64 of shape (len(COLUMNS), n_classes)."""
    return np.stack([getattr(classes, name.replace("/", "_")) for name in COLUMNS])


def calibration_buckets(bins: np.ndarray) -> metrics_for_slice_pb2.CalibrationHistogramBuckets:
    """The value of TFMA's calibration plot: how often the predicted class is right, by its probability.

    Args:
      bins: rows weight, weighted confidence, weighted hits, over equal-width bins of confidence.
    """
    histogram = metrics_for_slice_pb2.CalibrationHistogramBuckets()
    # TFMA's own plots have a bucket below 0 and one from 1 on; its view tells by them that these are probabilities.
    histogram.buckets.add(lower_threshold_inclusive=-math.inf, upper_threshold_exclusive=0.0)
    for index, (weight, confidence, hits) in enumerate(bins.T):
        bucket = histogram.buckets.add(
            lower_threshold_inclusive=index / bins.shape[1], upper_threshold_exclusive=(index + 1) / bins.shape[1]
        )
        bucket.num_weighted_examples.value = weight
        bucket.total_weighted_refined_prediction.value = confidence
        bucket.total_weighted_label.value = hits
    histogram.buckets.add(lower_threshold_inclusive=1.0, upper_threshold_exclusive=math.inf)
    return histogram
