"""The ``preprocessing_fn`` of TFX Transform, driven by the workflow's features."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules.examples import is_target
from modules.settings.workflow import Workflow


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
    sums = iter(_summed([count for step in steps for count in step.counts]))
    outputs: dict[str, Any] = {}
    for step in steps:
        outputs |= step.outputs(list(itertools.islice(sums, len(step.counts))))
    for key, value in inputs.items():
        if is_target(key):
            outputs[key] = value
    return outputs


def _summed(counts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each of the counts, int64 (1, n), over the analysed split: int64 (n,)."""
    if not counts:
        return []
    sums = tft.sum(tf.concat(counts, axis=1), reduce_instance_dims=False)
    return list(tf.split(sums, [int(count.shape[1]) for count in counts]))
