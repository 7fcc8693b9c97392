"""Slices batches of products without taking them apart.

TFMA splits every batch into single products before it slices them, which costs more than all our metrics together. The
Evaluator component takes :func:`custom_extractors` from the module that its ``module_path`` names; give it this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import model_eval_lib, types
from tensorflow_model_analysis.extractors import extractor, slice_key_extractor, unbatch_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib as slicer

from components.evaluation.inputs import PRODUCTS_KEY, Batch, Part, ragged
from components.evaluation.metrics import ObjectiveMetrics


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any = None
) -> list[extractor.Extractor]:
    """TFMA's extractors, with slicing by the batch where every metric can take batches.

    Falls back to TFMA's own where the configuration has other metrics, slices by SQL, or a smallest slice size: those
    count elements as products.
    """
    extractors = model_eval_lib.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [item.stage_name for item in extractors]
    if not takes_batches(eval_config) or unbatch_extractor.UNBATCH_EXTRACTOR_STAGE_NAME not in names:
        return extractors
    kept = extractors[: names.index(unbatch_extractor.UNBATCH_EXTRACTOR_STAGE_NAME)]
    slicing = extractor.Extractor(
        stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME, ptransform=_SliceBatches(eval_config)
    )
    return [*kept, slicing]


def takes_batches(eval_config: config_pb2.EvalConfig) -> bool:
    """Whether every metric is one of ours and nothing else needs single products."""
    options = eval_config.options
    ours = (ObjectiveMetrics.__module__, ObjectiveMetrics.__name__)
    metrics = [metric for spec in eval_config.metrics_specs for metric in spec.metrics]
    return (
        all((metric.module, metric.class_name) == ours for metric in metrics)
        and not any(spec.query_key for spec in eval_config.metrics_specs)
        and options.HasField("include_default_metrics")
        and not options.include_default_metrics.value
        and not options.compute_confidence_intervals.value
        and options.min_slice_size.value <= 1
        and not eval_config.cross_slicing_specs
        and not any(spec.slice_keys_sql for spec in eval_config.slicing_specs)
    )


@beam.ptransform_fn
@beam.typehints.with_input_types(types.Extracts)
@beam.typehints.with_output_types(types.Extracts)
def _SliceBatches(extracts: beam.PCollection, eval_config: config_pb2.EvalConfig) -> beam.PCollection:  # noqa: N802
    return extracts | "SliceBatches" >> beam.ParDo(_SliceBatchesFn(eval_config))


class _SliceBatchesFn(beam.DoFn):
    """A batch in; out come its slices: an extract per slice with the slice's key and its :class:`Part`."""

    def __init__(self, eval_config: config_pb2.EvalConfig):
        specs = [slicer.SingleSliceSpec(spec=spec) for spec in eval_config.slicing_specs] or [slicer.SingleSliceSpec()]
        self._specs = [spec for spec in specs if spec != slicer.SingleSliceSpec()]
        self._overall = len(self._specs) < len(specs)
        self._columns = sorted(
            {key for spec in eval_config.slicing_specs for key in [*spec.feature_keys, *spec.feature_values]}
        )

    def process(self, extracts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        features = extracts.get(constants.FEATURES_KEY) or {}
        n = len(extracts[constants.INPUT_KEY])
        batch = Batch(features, extracts[constants.PREDICTIONS_KEY], n)
        if self._overall:
            yield self._extract((), Part(batch, None))
        for key, rows in self._slices(features, n).items():
            yield self._extract(key, Part(batch, np.array(rows, np.intp)))

    def _slices(self, features: Mapping[str, Any], n: int) -> dict[Any, list[int]]:
        """Slice key to the rows it holds. TFMA's slicer decides, asked once per combination of values."""
        if not self._specs:
            return {}
        columns = []
        for name in self._columns:
            offsets, values = ragged(features.get(name), n)
            columns.append([tuple(values[offsets[i] : offsets[i + 1]]) for i in range(n)])
        combinations: dict[Any, list[int]] = {}
        for row, combination in enumerate(zip(*columns, strict=True)):
            combinations.setdefault(combination, []).append(row)
        slices: dict[Any, list[int]] = {}
        for combination, rows in combinations.items():
            named = {name: np.array(found) for name, found in zip(self._columns, combination, strict=True) if found}
            for key in set(slicer.get_slices_for_features_dicts([], named, self._specs)):
                slices.setdefault(key, []).extend(rows)
        return {key: sorted(rows) for key, rows in slices.items()}

    @staticmethod
    def _extract(key: Any, part: Part) -> dict[str, Any]:
        return {constants.SLICE_KEY_TYPES_KEY: slicer.slice_keys_to_numpy_array([key]), PRODUCTS_KEY: part}
