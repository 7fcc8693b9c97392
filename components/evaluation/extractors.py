"""Slices batches of products without taking them apart.

TFMA splits every batch into single products before it slices them, which costs more than all our metrics together. The
Evaluator component takes :func:`custom_extractors` from the module that its ``module_path`` names; give it this one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import model_eval_lib, types
from tensorflow_model_analysis.extractors import extractor, slice_key_extractor, unbatch_extractor
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.slicer import slicer_lib as slicer

from components.evaluation.inputs import PRODUCTS_KEY, BlockAuc, EvaluatedBatch, ragged
from components.evaluation.measure import Block, MeasuredFacts
from components.evaluation.metrics import ObjectiveMetrics, Reader
from modules.metrics import ScoreStore

# TFMA loads the model itself, in processes that load this module as well: it needs the ops of text encoders by then.
from modules.saved_models import load_saved_model as _load_saved_model  # noqa: F401

_CLASSES = 64


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
def _SliceBatches(extracts: beam.PCollection[Any], eval_config: config_pb2.EvalConfig) -> beam.PCollection[Any]:
    """Slices, and the overall slice's AUC: its scores are grouped by block of classes, so that they travel once, no
    worker holds more than a block's, and AUC is exact for any number of products."""
    batches = extracts | "Batches" >> beam.Map(_batch)
    slices = batches | "SliceBatches" >> beam.ParDo(_SliceBatchesFn(eval_config))
    auc = (
        batches
        | "CutIntoBlocks" >> beam.FlatMap(_blocks, readers_of(eval_config, baselines=False))
        | "GroupByBlock" >> beam.GroupByKey()
        | "BlockAuc" >> beam.MapTuple(_block_auc)
    )
    return (slices, auc) | "SlicesAndAuc" >> beam.Flatten()


def readers_of(eval_config: config_pb2.EvalConfig, *, baselines: bool = True) -> list[Reader]:
    """The readers of all objectives and models, with or without the baseline model's."""
    left_out = {spec.name for spec in eval_config.model_specs if spec.is_baseline and not baselines}
    readers = []
    for spec in eval_config.metrics_specs:
        models = [name for name in spec.model_names or [""] if name not in left_out]
        for metric in spec.metrics:
            computations = ObjectiveMetrics(**json.loads(metric.config)).computations(eval_config, model_names=models)
            readers += [reader for c in computations for reader in getattr(c, "preprocessors", ())]
    return readers


def _batch(extracts: Mapping[str, Any]) -> EvaluatedBatch:
    features = extracts.get(constants.FEATURES_KEY) or {}
    return EvaluatedBatch(features, extracts[constants.PREDICTIONS_KEY], len(extracts[constants.INPUT_KEY]))


def _blocks(batch: EvaluatedBatch, readers: list[Reader]) -> Iterator[tuple[tuple[str, int], Block]]:
    for reader in readers:
        for first, block in reader.measured(batch).blocks(_CLASSES):
            yield (reader.name, first), block


def _block_auc(key: tuple[str, int], blocks: Iterable[Block]) -> dict[str, Any]:
    store: ScoreStore | None = None
    for scores, rows, classes, weights in blocks:
        store = store or ScoreStore(scores.shape[1], sys.maxsize)
        store.add(scores, rows, classes, weights)
    assert store is not None  # a group has at least one element
    return _extract((), BlockAuc(key[0], key[1], store.auc()[0]))


def _extract(key: Any, content: Mapping[str, MeasuredFacts] | BlockAuc) -> dict[str, Any]:
    return {constants.SLICE_KEY_TYPES_KEY: slicer.slice_keys_to_numpy_array([key]), PRODUCTS_KEY: content}


class _SliceBatchesFn(beam.DoFn):
    """A batch in; out come its slices: an extract per slice with the slice's key and its facts."""

    def __init__(self, eval_config: config_pb2.EvalConfig):
        specs = [slicer.SingleSliceSpec(spec=spec) for spec in eval_config.slicing_specs] or [slicer.SingleSliceSpec()]
        self._specs = [spec for spec in specs if spec != slicer.SingleSliceSpec()]
        self._overall = len(self._specs) < len(specs)
        self._readers = readers_of(eval_config)
        self._columns = sorted(
            {key for spec in eval_config.slicing_specs for key in [*spec.feature_keys, *spec.feature_values]}
        )

    def process(self, batch: EvaluatedBatch) -> Iterator[dict[str, Any]]:
        facts = {reader.name: reader.measured(batch).without_scores() for reader in self._readers}
        if self._overall:
            yield _extract((), facts)
        for key, rows in self._slices(batch.features, batch.n).items():
            yield _extract(key, {name: measured.take(np.array(rows), batch.n) for name, measured in facts.items()})

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
            named = {
                name: np.array(values_of_column)
                for name, values_of_column in zip(self._columns, combination, strict=True)
                if values_of_column
            }
            for key in set(slicer.get_slices_for_features_dicts([], named, self._specs)):
                slices.setdefault(key, []).extend(rows)
        return {key: sorted(rows) for key, rows in slices.items()}
