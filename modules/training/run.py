"""``run_fn`` of the Trainer: reads transformed examples, fits, calibrates, exports."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules.models.build import EMBEDDING, InputSizes, build_model
from modules.models.layers import pretrained_table
from modules.objectives import classes_of
from modules.preprocessing.sizes import text_size
from modules.preprocessing.transform import FIRST_VALUE
from modules.settings.features import CategoricalFeature, TextFeature
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.calibration import Calibration, calibrate
from modules.training.data import batches
from modules.training.export import ServingModule, export_model
from modules.training.fit import FitResult, balanced_weights, fit, losses_of

MODEL_FACTS = "shelfmark.json"
"""Beside the SavedModel: hyperparameters, classes, calibration, what training did."""


class TrainingError(Exception):
    """Training cannot go on; says why in a sentence."""


def run_fn(fn_args: Any) -> None:
    """TFX's entry point.

    Args:
      fn_args: TFX's FnArgs; ``custom_config`` holds ``workflow`` (JSON), ``taxonomy`` (file), and, optionally,
        ``checkpoints`` (folder that outlives a killed run).
    """
    config = fn_args.custom_config
    workflow = Workflow.from_part(config["workflow"])
    taxonomy = Taxonomy.load(config["taxonomy"])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train(
        workflow,
        taxonomy,
        transform_output,
        _expand(fn_args.train_files),
        _expand(fn_args.eval_files),
        output=fn_args.serving_model_dir,
        logs=Path(fn_args.model_run_dir),
        checkpoints=Path(config["checkpoints"]) if config.get("checkpoints") else None,
        report=lambda done, total, text: print(f"epoch {done}/{total}  {text}", flush=True),
    )


def _expand(patterns: list[str]) -> list[str]:
    return sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))


def train(
    workflow: Workflow,
    taxonomy: Taxonomy,
    transform_output: tft.TFTransformOutput,
    train_files: list[str],
    eval_files: list[str],
    *,
    output: str,
    logs: Path | None = None,
    checkpoints: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> None:
    """Fits the workflow's model and writes it with everything that belongs to it.

    Raises:
      TrainingError: no example of the train split has a label for any objective.
    """
    if workflow.training.mixed_precision == "on" or (
        workflow.training.mixed_precision == "auto" and tf.config.list_physical_devices("GPU")
    ):
        keras.mixed_precision.set_global_policy("mixed_float16")
    keras.utils.set_random_seed(workflow.seed)
    classes = {name: [c.id for c in classes_of(o, taxonomy)] for name, o in workflow.objectives.items()}
    counts = {name: len(ids) for name, ids in classes.items()}
    sizes = input_sizes(workflow, transform_output, counts)

    train_data = batches(
        train_files, workflow, counts, batch_size=workflow.training.batch_size, shuffle_seed=workflow.seed
    )
    eval_data = batches(eval_files, workflow, counts, batch_size=512)
    examples, label_counts = count_labels(batches(train_files, workflow, counts, batch_size=1024), counts)
    _, eval_counts = count_labels(eval_data, counts)
    if not any(c.sum() for c in label_counts.values()):
        raise TrainingError(
            "no product of the train split has a label for any objective: add rules, label files or labels.truth"
        )
    has_eval = any(c.sum() for c in eval_counts.values())
    losses = losses_of(
        workflow,
        {
            name: balanced_weights(label_counts[name])
            for name, objective in workflow.objectives.items()
            if objective.class_weights == "balanced"
        },
    )
    model = build_model(workflow, sizes)
    folder = _checkpoint_folder(checkpoints, workflow, train_files, eval_files)
    if workflow.training.solver == "liblinear":
        result = _fit_exact(model, workflow, train_files, counts, sizes)
    else:
        steps = -(-examples // workflow.training.batch_size)
        result = fit(
            model, workflow, train_data, eval_data if has_eval else None, losses,
            steps_per_epoch=steps, checkpoints=folder, logs=logs, report=report,
        )  # fmt: skip

    kinds = {name: objective.kind for name, objective in workflow.objectives.items()}
    calibration = calibrate(lambda: predicted(model, eval_data), kinds, minimum=10) if has_eval else Calibration()
    if workflow.training.refit_on_eval and has_eval:
        model = build_model(workflow, sizes)
        both = [*train_files, *eval_files]
        if workflow.training.solver == "liblinear":
            _fit_exact(model, workflow, both, counts, sizes)
        else:
            data = batches(both, workflow, counts, batch_size=workflow.training.batch_size, shuffle_seed=workflow.seed)
            fit(
                model, workflow, data, None, losses,
                steps_per_epoch=steps, epochs=max(1, result.best_epoch), report=report,
            )  # fmt: skip
    transform_layer = transform_output.transform_features_layer()
    module = ServingModule(
        model, transform_layer, transform_output.raw_feature_spec(), workflow, calibration, classes
    )
    export_model(module, transform_layer, output)
    write_facts(output, workflow, classes, label_counts, calibration, result, model)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def input_sizes(workflow: Workflow, transform_output: tft.TFTransformOutput, classes: dict[str, int]) -> InputSizes:
    """Sizes that only the finished Transform knows, and pretrained word vectors for its vocabulary."""
    categorical, pretrained = {}, {}
    for name, feature in workflow.features.items():
        if isinstance(feature, CategoricalFeature):
            categorical[name] = transform_output.vocabulary_size_by_name(f"{name}_values") + FIRST_VALUE
        elif isinstance(feature, TextFeature) and feature.pretrained:
            words = [word.decode() for word in transform_output.vocabulary_by_name(f"{name}_words")]
            pretrained[name] = pretrained_table(
                feature.pretrained, words, feature.width, text_size(feature), workflow.seed
            )
    return InputSizes(categorical, classes, pretrained)


def count_labels(data: tf.data.Dataset, classes: dict[str, int]) -> tuple[int, dict[str, np.ndarray]]:
    """Examples, and per objective the positive labels of each class."""
    examples = 0
    counts = {name: np.zeros(n, np.int64) for name, n in classes.items()}
    for _, targets in data.as_numpy_iterator():
        for name, labels in targets.items():
            if labels.ndim == 1:
                counts[name] += np.bincount(labels[labels >= 0], minlength=classes[name])
            else:
                counts[name] += (labels > 0.5).sum(axis=0)
        examples += len(next(iter(targets.values())))
    return examples, counts


def predicted(model: keras.Model, data: tf.data.Dataset) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Logits and targets of all examples, as arrays by objective."""
    logits: dict[str, list[np.ndarray]] = {}
    targets: dict[str, list[np.ndarray]] = {}
    call = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    for inputs, labels in data:
        outputs = call(inputs)
        for name in labels:
            logits.setdefault(name, []).append(outputs[name].numpy())
            targets.setdefault(name, []).append(labels[name].numpy())
    return (
        {name: np.concatenate(parts) for name, parts in logits.items()},
        {name: np.concatenate(parts) for name, parts in targets.items()},
    )


def _fit_exact(model, workflow, files, counts, sizes) -> FitResult:
    from modules.training.liblinear import fit_exact

    started = time.monotonic()
    fit_exact(model, workflow, batches(files, workflow, counts, batch_size=1024), sizes.categorical)
    return FitResult(0, 0, time.monotonic() - started, {})


def _checkpoint_folder(root: Path | None, workflow: Workflow, *files: list[str]) -> Path | None:
    """A folder for exactly this training: the same settings on the same inputs find their own checkpoints again."""
    if root is None or not workflow.training.checkpoint or workflow.training.solver == "liblinear":
        return None
    parts = [workflow.model_dump_json(include={"features", "objectives", "model", "training", "seed"})]
    parts += [f"{name}:{tf.io.gfile.stat(name).length}" for group in files for name in group]
    return root / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def write_facts(output, workflow, classes, label_counts, calibration, result: FitResult, model) -> None:
    """All hyperparameters and what came of them, as JSON beside the SavedModel."""
    facts = {
        "format": 1,
        "workflow": workflow.name,
        "seed": workflow.seed,
        "features": {name: feature.model_dump(mode="json") for name, feature in workflow.features.items()},
        "objectives": {name: objective.model_dump(mode="json") for name, objective in workflow.objectives.items()},
        "model": workflow.model.model_dump(mode="json"),
        "training": workflow.training.model_dump(mode="json"),
        "classes": classes,
        "training_labels": {name: [int(n) for n in counts] for name, counts in label_counts.items()},
        "calibration": dataclasses.asdict(calibration),
        "result": dataclasses.asdict(result),
        "parameters": int(model.count_params()),
        "embedding_width": int(model.output[EMBEDDING].shape[-1]),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    with tf.io.gfile.GFile(f"{output}/{MODEL_FACTS}", "w") as handle:
        handle.write(json.dumps(facts, indent=1))
