"""The ``preprocessing_fn`` of TFX Transform, driven by the workflow's features."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules.examples import is_target
from modules.features.base import Quantiles
from modules.settings.workflow import Workflow

_NEARLY_NONE = 1e-9


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Raw product batch to model inputs, labels and evaluation weights.

    Args:
      inputs: the product schema's features, text as sparse string tensors with at most one value a row.
      custom_config: ``workflow``: the workflow as JSON.

    Returns:
      Each feature's columns, as its ``transform`` says. Labels pass through.
    """
    workflow = Workflow.from_part(custom_config["workflow"])
    steps = [
        feature.transform(name, [inputs[column] for column in feature.raw_columns(name)])
        for name, feature in workflow.features.items()
    ]
    sums = iter(_summed([part for step in steps for part in step.sums]))
    boundaries = iter(_boundaries([wanted for step in steps for wanted in step.quantiles]))
    outputs: dict[str, Any] = {}
    for step in steps:
        outputs |= step.outputs(
            list(itertools.islice(sums, len(step.sums))), list(itertools.islice(boundaries, len(step.quantiles)))
        )
    for key, value in inputs.items():
        if is_target(key):
            outputs[key] = value
    return outputs


def _summed(parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each part, int64 or float64 (1, n), over the analysed split: (n,)."""
    sums: dict[int, tf.Tensor] = {}
    for dtype in (tf.int64, tf.float64):
        own = [number for number, part in enumerate(parts) if part.dtype == dtype]
        if own:
            total = tft.sum(tf.concat([parts[number] for number in own], axis=1), reduce_instance_dims=False)
            sums |= zip(own, tf.split(total, [int(parts[number].shape[1]) for number in own]), strict=True)
    return [sums[number] for number in range(len(parts))]


def _boundaries(wanted: Sequence[Quantiles]) -> list[tf.Tensor]:
    """For each the boundaries of its buckets over the analysed split: float32 (buckets - 1,)."""
    boundaries: dict[int, tf.Tensor] = {}
    for buckets in sorted({own.buckets for own in wanted}):
        numbers = [number for number, own in enumerate(wanted) if own.buckets == buckets]
        values = tf.concat([wanted[number].values for number in numbers], axis=1)
        # Missing ones, NaN, do not count; a row of nearly no weight keeps a column without any number from having none.
        weights = tf.concat([tf.ones_like(values[:, 0]), [_NEARLY_NONE]], axis=0)
        values = tf.concat([values, tf.zeros([1, len(numbers)])], axis=0)
        cuts = tft.quantiles(values, buckets, epsilon=0.01, weights=weights, reduce_instance_dims=False)
        boundaries |= zip(numbers, tf.unstack(cuts, len(numbers)), strict=True)
    return [boundaries[number] for number in range(len(wanted))]
