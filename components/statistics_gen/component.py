"""TFX's StatisticsGen, told which features to look at."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.components import StatisticsGen


def product_statistics(examples: types.BaseChannel, features: Sequence[str] | None = None) -> StatisticsGen:
    """Statistics of all features, or of ``features`` alone."""
    if features is None:
        return StatisticsGen(examples=examples)
    # It can be imported after tfx.components only, which gives it what it misses in tfx_bsl.
    from tensorflow_data_validation import StatsOptions

    return StatisticsGen(examples=examples, stats_options=StatsOptions(feature_allowlist=list(features)))
