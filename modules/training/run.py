"""``run_fn`` of the Trainer: reads transformed examples, fits, calibrates, exports."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules import progress
from modules.examples import MODEL_FACTS, TAXONOMY_FILE
from modules.features import image_feature, without_towers
from modules.models.build import InputSizes
from modules.predictions.columns import EMBEDDING
from modules.settings.tuning import decoded, with_values
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.category_names import name_inputs
from modules.training.choice import Chosen, with_chosen_model
from modules.training.committee import member_workflow, resampled
from modules.training.data import label_batches
from modules.training.errors import TrainingError
from modules.training.export import ServingModule, export_model
from modules.training.fit import balanced_weights, losses_of
from modules.training.gather import Committee, gathered, trained_members
from modules.training.member import TrainingData, fit_member
from modules.training.methods.base import FitResult
from modules.training.task import Report

_log = logging.getLogger(__name__)


def run_fn(fn_args: Any) -> None:
    """TFX's entry point.

    Args:
      fn_args: TFX's FnArgs; ``custom_config`` holds ``workflow`` (JSON), ``taxonomy`` (file), and, optionally,
        ``checkpoints`` (folder that outlives a killed run). ``hyperparameters``: a Tuner's best ones, which replace
        the workflow's.
    """
    config = fn_args.custom_config
    tuned = {name: decoded(value) for name, value in ((fn_args.hyperparameters or {}).get("values") or {}).items()}
    workflow = with_values(Workflow.from_part(config["workflow"]), tuned)
    taxonomy = Taxonomy.load(config["taxonomy"])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train(
        workflow,
        taxonomy,
        transform_output,
        files_of(fn_args.train_files),
        files_of(fn_args.eval_files),
        output=fn_args.serving_model_dir,
        logs=Path(fn_args.model_run_dir),
        checkpoints=Path(config["checkpoints"]) if config.get("checkpoints") else None,
        report=_report,
        tuned=tuned,
    )
    # A model that outlives this run's taxonomy still knows what its classes are called.
    tf.io.gfile.copy(config["taxonomy"], f"{fn_args.serving_model_dir}/{TAXONOMY_FILE}", overwrite=True)


def _report(done: int, total: int, text: str) -> None:
    print(f"epoch {done}/{total}  {text}", flush=True)
    progress.report(done, total, text)


def files_of(patterns: list[str]) -> list[str]:
    """The files that the patterns match, sorted."""
    return sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is trained.

    Attributes:
      chosen: the workflow with the kinds of models that are trained.
      data: what is learnt from.
      classes: objective to the ids of its classes.
      label_counts, eval_counts: per objective the positive labels of each class, int64, on the train and eval split.
    """

    chosen: Chosen
    data: TrainingData
    classes: dict[str, list[str]]
    label_counts: dict[str, np.ndarray]
    eval_counts: dict[str, np.ndarray]


def prepared(
    workflow: Workflow,
    taxonomy: Taxonomy,
    transform_output: tft.TFTransformOutput,
    train_files: list[str],
    eval_files: list[str],
) -> Prepared:
    """Counts the labels and finds the sizes of the inputs.

    Raises:
      TrainingError: no example of the train split has a label for any objective.
    """
    classes = {name: [c.id for c in o.classes(taxonomy)] for name, o in workflow.objectives.items()}
    counts = {name: len(ids) for name, ids in classes.items()}
    examples, label_counts = count_labels(label_batches(train_files, workflow.objectives, counts), counts)
    eval_examples, eval_counts = count_labels(label_batches(eval_files, workflow.objectives, counts), counts)
    chosen = with_chosen_model(workflow, label_counts)
    workflow = chosen.workflow
    if workflow.model.needs_labels and not any(c.sum() for c in label_counts.values()):
        raise TrainingError(
            "no product of the train split has a label for any objective: add rules, label files or labels.truth, "
            "or start with model.kind: lsa, which needs none"
        )
    weights = {
        name: balanced_weights(label_counts[name])
        for name, objective in workflow.objectives.items()
        if objective.class_weights == "balanced"
    }
    sizes = input_sizes(workflow, transform_output, counts)
    data = TrainingData(
        train_files, eval_files, examples, eval_examples, any(c.sum() for c in eval_counts.values()),
        dataclasses.replace(sizes, names=name_inputs(workflow, taxonomy, transform_output, sizes.features)),
        losses_of(workflow.objectives, weights),
    )  # fmt: skip
    return Prepared(chosen, data, classes, label_counts, eval_counts)


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
    report: Report | None = None,
    tuned: Mapping[str, Any] | None = None,
) -> None:
    """Fits the workflow's model and writes it with everything that belongs to it.

    Args:
      tuned: the settings of the workflow that a Tuner chose, for the facts beside the model.

    Raises:
      TrainingError: no example of the train split has a label for any objective.
    """
    keras.utils.set_random_seed(workflow.seed)
    ready = prepared(workflow, taxonomy, transform_output, train_files, eval_files)
    data, classes, workflow = ready.data, ready.classes, ready.chosen.workflow
    if ready.chosen.reason:
        _log.info("trained as %s", ready.chosen.reason)
    size = trained_members(workflow)
    fitted, results, folders = [], [], []
    for number in range(size):
        member, again = member_workflow(workflow, number), resampled(workflow, number)
        folder = _checkpoint_folder(checkpoints, member, classes, again, train_files, eval_files)
        model, result = fit_member(
            member, taxonomy, data, resample=again, checkpoints=folder,
            logs=logs / f"member-{number}" if logs and size > 1 else logs, report=_numbered(report, number, size),
        )  # fmt: skip
        fitted.append(model)
        results.append(result)
        folders.append(folder)
    committee = gathered(fitted, workflow, data)
    if workflow.training.refit_on_eval and data.has_eval:
        for number in committee.kept:
            fitted[number], _ = fit_member(
                member_workflow(workflow, number), taxonomy, data, resample=resampled(workflow, number),
                first=results[number], report=report,
            )  # fmt: skip
        committee = committee.refitted(fitted, workflow, data)
    transform_layer = transform_output.transform_features_layer()
    module = ServingModule(committee, transform_layer, transform_output.raw_feature_spec(), workflow, classes)
    export_model(module, transform_layer, output)
    write_facts(output, ready, committee, results, tuned)
    for folder in filter(None, folders):
        shutil.rmtree(folder, ignore_errors=True)


def _numbered(report: Report | None, number: int, size: int) -> Report | None:
    """Progress over all members, where there are several."""
    if report is None or size == 1:
        return report
    return lambda done, total, text: report(number * total + done, size * total, f"member {number + 1}: {text}")


def input_sizes(workflow: Workflow, transform_output: tft.TFTransformOutput, classes: dict[str, int]) -> InputSizes:
    """Sizes that only the finished Transform knows, and pretrained word vectors for its vocabulary."""
    features = without_towers(workflow.features)
    learned = {name: feature.learned(name, transform_output, workflow.seed) for name, feature in features.items()}
    return InputSizes(learned, classes)


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


def _checkpoint_folder(
    root: Path | None, workflow: Workflow, classes: dict[str, list[str]], resample: bool, *files: list[str]
) -> Path | None:
    """A folder for exactly this training: the same settings on the same inputs find their own checkpoints again."""
    exact = workflow.training.exact and image_feature(workflow.features) is None
    if root is None or not workflow.training.checkpoint or exact:
        return None
    settings = workflow.model_dump_json(include={"features", "objectives", "model", "training", "seed"})
    parts = [settings, json.dumps(classes), f"resample {resample}"]
    parts += [f"{name}:{tf.io.gfile.stat(name).length}" for group in files for name in group]
    return root / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def write_facts(
    output: str, ready: Prepared, committee: Committee, results: Sequence[FitResult],
    tuned: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """All hyperparameters and what came of them, as JSON beside the SavedModel."""
    workflow = ready.chosen.workflow
    facts = {
        "format": 1,
        "workflow": workflow.name,
        "seed": workflow.seed,
        "features": {name: feature.model_dump(mode="json") for name, feature in workflow.features.items()},
        "objectives": {name: objective.model_dump(mode="json") for name, objective in workflow.objectives.items()},
        "model": workflow.model.model_dump(mode="json"),
        "training": workflow.training.model_dump(mode="json"),
        "prediction": workflow.prediction.model_dump(mode="json"),
        "tuned": dict(tuned or {}),
        "chosen": ready.chosen.reason,
        "classes": ready.classes,
        "training_labels": {name: [int(n) for n in counts] for name, counts in ready.label_counts.items()},
        "from_names": sorted(ready.data.sizes.names),
        "calibration": dataclasses.asdict(committee.calibration),
        "result": dataclasses.asdict(results[committee.kept[0]]),
        "parameters": sum(int(model.count_params()) for model in committee.members),
        "embedding_width": int(committee.embedder.output[EMBEDDING].shape[-1]),
        "committee": workflow.committee.model_dump(mode="json")
        | {
            "kept": committee.kept,
            "weights": committee.weights,
            "member_temperatures": committee.temperatures,
            "eval_losses": committee.eval_losses,
            "results": [dataclasses.asdict(result) for result in results],
        }
        if workflow.committee
        else None,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    with tf.io.gfile.GFile(os.path.join(output, MODEL_FACTS), "w") as handle:
        handle.write(json.dumps(facts, indent=1))
