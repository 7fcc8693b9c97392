"""One model fitted on labelled products: by Adam or exactly, from train or from train and eval together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import tensorflow as tf

from modules.models.build import InputSizes, build_model
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.data import batches
from modules.training.image_start import start_images
from modules.training.methods.base import FitResult
from modules.training.replicas import strategy_of
from modules.training.task import Examples, Report, TrainingTask


@dataclass(frozen=True)
class TrainingData:
    """What all members learn from.

    Attributes:
      train, eval: files of transformed examples. examples, eval_examples: how many they hold.
      has_eval: whether the eval split has a label.
      sizes: of the inputs. losses: objective to its loss.
    """

    train: Sequence[str]
    eval: Sequence[str]
    examples: int
    eval_examples: int
    has_eval: bool
    sizes: InputSizes
    losses: Mapping[str, keras.losses.Loss]

    def eval_batches(self, workflow: Workflow) -> tf.data.Dataset:
        """The eval split, for one pass."""
        return batches(
            self.eval, workflow.features, workflow.objectives, self.sizes.classes, batch_size=512,
            examples=self.eval_examples, once=True,
        )  # fmt: skip


def fit_member(
    workflow: Workflow,
    taxonomy: Taxonomy,
    data: TrainingData,
    *,
    resample: bool = False,
    first: FitResult | None = None,
    checkpoints: Path | None = None,
    logs: Path | None = None,
    report: Report | None = None,
) -> tuple[keras.Model, FitResult]:
    """Fits on the train split, or anew on train and eval together; the model is in full precision.

    Args:
      resample: learn from a bootstrap resample of the products, drawn by the workflow's seed.
      first: of a fit on both splits, what the fit on the train split did, whose epochs, penalties and other choices
        are kept; None: fit on the train split.
    """
    both = first is not None
    train = Examples([*data.train, *data.eval], data.examples + data.eval_examples)
    task = TrainingTask(
        workflow.features, workflow.objectives, workflow.model, workflow.seed, taxonomy, data.sizes, data.losses,
        train=train if both else Examples(data.train, data.examples),
        evaluation=Examples(data.eval, data.eval_examples) if data.has_eval and not both else None,
        resample=resample, epochs=None if first is None else max(1, first.best_epoch), checkpoints=checkpoints,
        logs=logs, penalties={} if first is None else first.penalties,
        processes={} if first is None else first.processes, report=report,
    )  # fmt: skip
    training = workflow.training
    with precision(training.mixed_precision):
        strategy = strategy_of(training)
        with strategy.scope():
            model = build_model(workflow, data.sizes)
        task = replace(task, embed_images=start_images(model, training, task))
        with strategy.scope():
            result = training.fit(model, task)
        return _plain(model, workflow, data.sizes), result


@contextmanager
def precision(wanted: str) -> Iterator[None]:
    """Keras' global policy, inside the block only; ``wanted``: a value of ``training.mixed_precision``."""
    before = keras.mixed_precision.dtype_policy()
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


def full_precision_model(workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """A new model in float32, whatever the workflow trains in."""
    with precision("off"):
        return build_model(workflow, sizes)


def _plain(model: keras.Model, workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The same weights in a float32 model on one device: what serves runs anywhere, and a CPU is slow at 16 bits."""
    if keras.mixed_precision.dtype_policy().name == "float32" and model.distribute_strategy.num_replicas_in_sync == 1:
        return model
    plain = full_precision_model(workflow, sizes)
    plain.set_weights(model.get_weights())
    return plain
