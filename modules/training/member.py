"""One model fitted on labelled products: by Adam or exactly, from train or from train and eval together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from modules.models.build import InputSizes, build_model
from modules.objectives import ancestor_levels
from modules.settings.model import TrainingSettings
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.data import batches
from modules.training.fit import FitResult, fit
from modules.training.image_columns import Embed
from modules.training.image_start import Pictures, start_images
from modules.training.replicas import strategy_of

Report = Callable[[int, int, str], None]


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

    def eval_batches(self, workflow: Workflow, *, once: bool = True) -> tf.data.Dataset:
        """The eval split, for one pass or for many."""
        return batches(self.eval, workflow, self.sizes.classes, batch_size=512, examples=self.eval_examples, once=once)


def fit_member(
    workflow: Workflow,
    taxonomy: Taxonomy,
    data: TrainingData,
    *,
    resample: bool = False,
    checkpoints: Path | None = None,
    logs: Path | None = None,
    report: Report | None = None,
) -> tuple[keras.Model, FitResult]:
    """Fits on the train split; the model is in full precision.

    Args:
      resample: learn from a bootstrap resample of the products, drawn by the workflow's seed.
    """
    seed = workflow.seed if resample else None
    with precision(workflow):
        strategy = strategy_of(workflow)
        with strategy.scope():
            model = build_model(workflow, data.sizes)
        pictures = Pictures(data.train, data.examples, data.sizes.classes, seed)
        embed = start_images(model, workflow, pictures, checkpoints=checkpoints, report=report)
        if workflow.training.solver == "liblinear":
            result = _fit_exact(model, workflow, taxonomy, pictures, data.sizes, embed)
        else:
            with strategy.scope():
                result = fit(
                    model, workflow, _shuffled(workflow, data, data.train, data.examples, seed),
                    data.eval_batches(workflow, once=False) if data.has_eval else None, data.losses,
                    steps_per_epoch=-(-data.examples // workflow.training.batch_size),
                    checkpoints=checkpoints, logs=logs, report=report,
                )  # fmt: skip
        return _plain(model, workflow, data.sizes), result


def refit_member(
    workflow: Workflow,
    taxonomy: Taxonomy,
    data: TrainingData,
    epochs: int,
    *,
    resample: bool = False,
    report: Report | None = None,
) -> keras.Model:
    """Fits anew on train and eval together, for a number of epochs that is known by now."""
    both, examples = [*data.train, *data.eval], data.examples + data.eval_examples
    seed = workflow.seed if resample else None
    with precision(workflow):
        strategy = strategy_of(workflow)
        with strategy.scope():
            model = build_model(workflow, data.sizes)
        pictures = Pictures(both, examples, data.sizes.classes, seed)
        embed = start_images(model, workflow, pictures, checkpoints=None, report=report)
        if workflow.training.solver == "liblinear":
            _fit_exact(model, workflow, taxonomy, pictures, data.sizes, embed)
        else:
            steps = -(-examples // workflow.training.batch_size)
            with strategy.scope():
                fit(
                    model, workflow, _shuffled(workflow, data, both, examples, seed), None, data.losses,
                    steps_per_epoch=steps, epochs=max(1, epochs), report=report,
                )  # fmt: skip
        return _plain(model, workflow, data.sizes)


def _shuffled(
    workflow: Workflow, data: TrainingData, files: Sequence[str], examples: int, resample: int | None
) -> tf.data.Dataset:
    return batches(
        files, workflow, data.sizes.classes, batch_size=workflow.training.batch_size, shuffle_seed=workflow.seed,
        resample_seed=resample, examples=examples, augment_seed=workflow.seed,
    )  # fmt: skip


def _fit_exact(
    model: keras.Model, workflow: Workflow, taxonomy: Taxonomy, products: Pictures, sizes: InputSizes,
    embed_images: Embed | None,
) -> FitResult:  # fmt: skip
    from modules.training.liblinear import fit_exact

    started = time.monotonic()
    data = batches(
        products.files, workflow, sizes.classes, batch_size=1024, resample_seed=products.resample_seed, once=True
    )
    ancestors = {
        name: ancestor_levels(objective.classes(taxonomy), taxonomy) for name, objective in workflow.objectives.items()
    }
    fit_exact(
        model, workflow, data, sizes.features, examples=products.examples, ancestors=ancestors,
        embed_images=embed_images,
    )  # fmt: skip
    return FitResult(0, 0, time.monotonic() - started, {})


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


def full_precision_model(workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """A new model in float32, whatever the workflow trains in."""
    with precision(workflow.model_copy(update={"training": TrainingSettings(mixed_precision="off")})):
        return build_model(workflow, sizes)


def _plain(model: keras.Model, workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The same weights in a float32 model on one device: what serves runs anywhere, and a CPU is slow at 16 bits."""
    if keras.mixed_precision.dtype_policy().name == "float32" and model.distribute_strategy.num_replicas_in_sync == 1:
        return model
    plain = full_precision_model(workflow, sizes)
    plain.set_weights(model.get_weights())
    return plain
