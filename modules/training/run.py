"""``run_fn`` of the Trainer: reads transformed examples, fits, calibrates, exports."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules import progress
from modules.models.build import EMBEDDING, LSA, InputSizes, build_model
from modules.models.layers import pretrained_table
from modules.objectives import ancestor_levels, classes_of
from modules.preprocessing.sizes import text_size
from modules.preprocessing.transform import FIRST_VALUE
from modules.settings.features import CategoricalFeature, TextFeature
from modules.settings.model import TrainingSettings
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.calibration import Calibration, calibrate
from modules.training.data import batches, label_batches
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
        report=_report,
    )


def _report(done: int, total: int, text: str) -> None:
    print(f"epoch {done}/{total}  {text}", flush=True)
    progress.report(done, total, text)


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
    keras.utils.set_random_seed(workflow.seed)
    classes = {name: [c.id for c in classes_of(o, taxonomy)] for name, o in workflow.objectives.items()}
    counts = {name: len(ids) for name, ids in classes.items()}
    sizes = input_sizes(workflow, transform_output, counts)

    train_data = batches(
        train_files, workflow, counts, batch_size=workflow.training.batch_size, shuffle_seed=workflow.seed
    )
    eval_data = batches(eval_files, workflow, counts, batch_size=512)
    examples, label_counts = count_labels(label_batches(train_files, workflow, counts), counts)
    eval_examples, eval_counts = count_labels(label_batches(eval_files, workflow, counts), counts)
    # An LSA model has an embedding before the first label: enough to pick the first batch.
    if workflow.model.kind != LSA and not any(c.sum() for c in label_counts.values()):
        raise TrainingError(
            "no product of the train split has a label for any objective: add rules, label files or labels.truth, "
            "or start with model.kind: lsa, which needs none"
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
    folder = _checkpoint_folder(checkpoints, workflow, classes, train_files, eval_files)
    batch_size = workflow.training.batch_size
    with precision(workflow):
        model = build_model(workflow, sizes)
        if workflow.training.solver == "liblinear":
            result = _fit_exact(model, workflow, taxonomy, train_files, examples, sizes)
        else:
            result = fit(
                model, workflow, train_data, eval_data if has_eval else None, losses,
                steps_per_epoch=-(-examples // batch_size), checkpoints=folder, logs=logs, report=report,
            )  # fmt: skip
        model = _full_precision(model, workflow, sizes)

    calibration = Calibration.before_eval(workflow.objectives)
    if has_eval:
        calibration = calibrate(lambda: predicted(model, eval_data), workflow.objectives, minimum=10)
    if workflow.training.refit_on_eval and has_eval:
        both = [*train_files, *eval_files]
        with precision(workflow):
            model = build_model(workflow, sizes)
            if workflow.training.solver == "liblinear":
                _fit_exact(model, workflow, taxonomy, both, examples + eval_examples, sizes)
            else:
                fit(
                    model, workflow,
                    batches(both, workflow, counts, batch_size=batch_size, shuffle_seed=workflow.seed), None, losses,
                    steps_per_epoch=-(-(examples + eval_examples) // batch_size), epochs=max(1, result.best_epoch),
                    report=report,
                )  # fmt: skip
            model = _full_precision(model, workflow, sizes)
    transform_layer = transform_output.transform_features_layer()
    module = ServingModule(model, transform_layer, transform_output.raw_feature_spec(), workflow, calibration, classes)
    export_model(module, transform_layer, output)
    write_facts(output, workflow, classes, label_counts, calibration, result, model)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def precision(workflow: Workflow) -> Iterator[None]:
    """Keras' global policy as the workflow asks for it, inside the block only."""
    wanted, before = workflow.training.mixed_precision, keras.mixed_precision.dtype_policy()
    gpus = tf.config.list_physical_devices("GPU")
    policy = "float32"
    if wanted == "on" or (wanted == "auto" and gpus):
        # bfloat16 needs no scaled loss, but GPUs before Ampere (8.0) are slow at it.
        ability = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
        policy = "mixed_float16" if ability and min(ability) < (8, 0) else "mixed_bfloat16"
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _full_precision(model: keras.Model, workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The same weights in a float32 model: what serves runs anywhere, and a CPU is slow at 16 bits."""
    if keras.mixed_precision.dtype_policy().name == "float32":
        return model
    with precision(workflow.model_copy(update={"training": TrainingSettings(mixed_precision="off")})):
        full = build_model(workflow, sizes)
    full.set_weights(model.get_weights())
    return full


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
    """Examples of batches of targets, and per objective the positive labels of each class."""
    examples = 0
    counts = {name: np.zeros(n, np.int64) for name, n in classes.items()}
    for targets in data.as_numpy_iterator():
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


def _fit_exact(
    model: keras.Model, workflow: Workflow, taxonomy: Taxonomy, files: list[str], examples: int, sizes: InputSizes
) -> FitResult:
    from modules.training.liblinear import fit_exact

    started = time.monotonic()
    data = batches(files, workflow, sizes.classes, batch_size=1024)
    ancestors = {
        name: ancestor_levels(classes_of(objective, taxonomy), taxonomy)
        for name, objective in workflow.objectives.items()
        if objective.kind == "exclusive"
    }
    fit_exact(model, workflow, data, sizes.categorical, examples=examples, ancestors=ancestors)
    return FitResult(0, 0, time.monotonic() - started, {})


def _checkpoint_folder(
    root: Path | None, workflow: Workflow, classes: dict[str, list[str]], *files: list[str]
) -> Path | None:
    """A folder for exactly this training: the same settings on the same inputs find their own checkpoints again."""
    if root is None or not workflow.training.checkpoint or workflow.training.solver == "liblinear":
        return None
    settings = workflow.model_dump_json(include={"features", "objectives", "model", "training", "seed"})
    parts = [settings, json.dumps(classes)]
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
        "prediction": workflow.prediction.model_dump(mode="json"),
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
