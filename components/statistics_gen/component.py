"""TFX's StatisticsGen, told which features to look at."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.components import StatisticsGen

from modules.examples import RETAILER


def product_statistics(
    examples: types.BaseChannel, features: Sequence[str] | None = None, by_retailer: bool = False
) -> StatisticsGen:
    """Statistics of all features, or of ``features`` alone; ``by_retailer`` also those of each retailer's products.

    The latter are TFDV's slices, whose names :func:`modules.examples.retailer_of_slice` reads.
    """
    if features is None and not by_retailer:
        return StatisticsGen(examples=examples)
    # It can be imported after tfx.components only, which gives it what it misses in tfx_bsl.
    from tensorflow_data_validation import StatsOptions
    from tfx_bsl.public.proto.slicing_spec_pb2 import SlicingConfig, SlicingSpec

    slices = SlicingConfig(slicing_specs=[SlicingSpec(feature_keys=[RETAILER])]) if by_retailer else None
    allowed = None if features is None else list(features)
    return StatisticsGen(
        examples=examples, stats_options=StatsOptions(feature_allowlist=allowed, slicing_config=slices)
    )
