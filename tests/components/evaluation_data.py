"""A small evaluation with TFMA: tf.Examples with stored predictions, so that no model is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

N, RETAILERS = 300, 4
PATHS = ["Shoes", "Shoes > Boots", "Shoes > Sneakers", "Bags > Totes", "Bags > Purses", "Hats", "Hats > Caps"]
CLASSES = [(f"c{i}", path) for i, path in enumerate(PATHS)]


@dataclass(frozen=True)
class Data:
    """Products: labels (-1: unlabelled) and sets of labels, two models' scores, weights, retailer."""

    labels: np.ndarray
    tags: np.ndarray
    scores: np.ndarray
    tag_scores: np.ndarray
    before: np.ndarray
    weights: np.ndarray
    retailers: np.ndarray

    @property
    def denied(self) -> np.ndarray:
        """Some of the pairs without a tag: those that somebody said no to."""
        return ~self.tags & (np.arange(self.tags.size).reshape(self.tags.shape) % 3 == 0)


def make_data(n: int = N, seed: int = 5) -> Data:
    rng = np.random.default_rng(seed)
    k = len(CLASSES)
    labels = rng.choice(k, n, p=[0.02, 0.3, 0.2, 0.2, 0.2, 0.0, 0.08])

    def scored(strength: float) -> np.ndarray:
        logits = rng.standard_normal((n, k))
        logits[np.arange(n), labels] += strength
        return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)

    scores, before = scored(3.0), scored(1.5)
    tags = rng.random((n, k)) < 0.25
    tag_scores = np.clip(0.6 * rng.random((n, k)) + 0.5 * tags * rng.random((n, k)), 0, 1).astype(np.float32)
    labels = np.where(rng.random(n) < 0.3, -1, labels)
    return Data(
        labels, tags, scores, tag_scores, before, rng.choice([1.0, 2.5, 8.0], n).astype(np.float32),
        rng.integers(0, RETAILERS, n),
    )  # fmt: skip


def write_examples(data: Data, path: Path) -> str:
    import tensorflow as tf

    def ints(values: Any) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def floats(values: Any) -> Any:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(len(data.labels)):
            features = {
                "label/exclusive": ints([data.labels[i]]),
                "label/tags": ints(np.flatnonzero(data.tags[i])),
                "label/tags/no": ints(np.flatnonzero(data.denied[i])),
                "eval_weight/exclusive": floats([data.weights[i]]),
                "exclusive/probabilities": floats(data.scores[i]),
                "tags/probabilities": floats(data.tag_scores[i]),
                "before": floats(data.before[i]),
                "retailer": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[b"shop %d" % data.retailers[i]] if i % 10 else [])
                ),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(path)


def save_model(folder: Path, scores_key: str) -> str:
    """A model whose ``evaluate`` signature takes serialised examples and gives the scores that stand in them."""
    import tensorflow as tf

    keys = {"exclusive/probabilities": scores_key, "tags/probabilities": "tags/probabilities"}
    k = len(CLASSES)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(examples: Any) -> Any:
        parsed = tf.io.parse_example(
            examples, {key: tf.io.FixedLenFeature([k], tf.float32) for key in set(keys.values())}
        )
        return {name: parsed[key] for name, key in keys.items()}

    module = tf.Module()
    module.evaluate = evaluate
    tf.saved_model.save(module, str(folder), signatures={"evaluate": evaluate, "serving_default": evaluate})
    return str(folder)


def config(
    slices: tuple[str, ...] = (),
    thresholds: Mapping[str, Any] | None = None,
    objectives: tuple[str, ...] = ("exclusive", "tags", "yes_no"),
    **options: Any,
) -> Any:
    """With predictions that stand in the examples."""
    from components.evaluation.config import build_eval_config

    found = build_eval_config([o for o in objective_evals() if o.name in objectives], slices, thresholds, **options)
    for name in ("exclusive/probabilities", "tags/probabilities"):
        found.model_specs[0].prediction_keys[name] = name
    return found


def objective_evals() -> list[Any]:
    from components.evaluation.objectives import ObjectiveEval

    return [
        ObjectiveEval("exclusive", "exclusive", CLASSES, weight_key="eval_weight/exclusive"),
        ObjectiveEval("tags", "multi_label", CLASSES),
        # The same labels, of which only those pairs are known that people were asked about.
        ObjectiveEval(
            "yes_no", "multi_label", CLASSES, label_key="label/tags", no_key="label/tags/no",
            probabilities_key="tags/probabilities",
        ),
    ]  # fmt: skip


def evaluate(
    examples: str, eval_config: Any, output: Path, by_batch: bool = True, models: Mapping[str, str] | None = None
) -> str:
    """Runs TFMA as the Evaluator component does; the folder with the evaluation. ``models``: name to SavedModel."""
    import apache_beam as beam
    import tensorflow_model_analysis as tfma
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability import fn_api_runner
    from tfx_bsl.public import tfxio

    from components.evaluation.extractors import custom_extractors

    shared = None
    if models:
        eval_config = tfma.utils.update_eval_config_with_defaults(
            eval_config, has_baseline="baseline" in models, rubber_stamp=True
        )
        shared = [
            tfma.default_eval_shared_model(models[name or "candidate"], model_name=name, eval_config=eval_config)
            for name in [spec.name for spec in eval_config.model_specs]
        ]
        shared = shared[0] if len(shared) == 1 else shared
    with beam.Pipeline(runner=fn_api_runner.FnApiRunner(), options=PipelineOptions([])) as pipeline:
        source = tfxio.TFExampleRecord(examples, raw_record_column_name=tfma.ARROW_INPUT_COLUMN)
        _ = (
            pipeline
            | source.BeamSource(batch_size=64)
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=shared,
                eval_config=eval_config,
                extractors=custom_extractors(shared, eval_config) if by_batch else None,
                output_path=str(output),
            )
        )
    return str(output)
