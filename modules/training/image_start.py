"""How the image tower is started: without labels against all other pictures, then under heads of its own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from modules.examples import PIXELS, transformed
from modules.features import image_feature
from modules.features.image import ImageFeature
from modules.graph_ops.layers import UnitLength
from modules.predictions.columns import EMBEDDING
from modules.settings.backbones import PATCHES, SMALL_CNN, least_size
from modules.settings.image_training import (
    AugmentationSettings,
    ImageStartSettings,
    MetricLearningSettings,
    SelfSupervisedSettings,
)
from modules.training.checkpoints import Checkpoints
from modules.training.fit import ProgressLine, with_metric_target
from modules.training.image_columns import Embed
from modules.training.image_data import augmented_inputs, count_pictures, with_seeds
from modules.training.image_patches import start_patches
from modules.training.methods.base import TrainingSettings
from modules.training.task import Examples, Report, TrainingTask
from modules.vision.augmentation import augmented
from modules.vision.losses import ContrastiveLoss, metric_loss
from modules.vision.networks import image_tower, tower_name

LOGIT_SCALE = 16.0
"""Embeddings have length 1: without it no softmax over many categories gets sure of anything."""

WARM_UP = 0.07
"""Share of the steps in which the learning rate grows."""


def starts_supervised(feature: ImageFeature, training: TrainingSettings) -> bool:
    """Whether the tower gets heads of its own first: linear solvers need a finished embedding."""
    if feature.backbone == PATCHES or (feature.train == "frozen" and feature.width is None):
        return False
    start = training.image_start
    return training.exact if start is None else start.epochs > 0


def start_images(model: keras.Model, training: TrainingSettings, task: TrainingTask) -> Embed | None:
    """Trains the image tower of ``model`` in place, as far as the settings ask for it.

    Each phase keeps a checkpoint per epoch in a folder of its own under ``task.checkpoints``.

    Returns:
      How the pictures are to be embedded for what learns from these same pictures; None: by the tower.
    """
    image = image_feature(task.features)
    if image is None:
        return None
    name, feature = image
    if feature.backbone == PATCHES:
        return start_patches(model, task, task.picture_batches(feature.size, 256, once=True))
    supervised = starts_supervised(feature, training)
    if training.self_supervised is None and not supervised:
        return None
    # The length of an epoch, and what has to fit into memory.
    task = replace(task, train=Examples(task.train.files, count_pictures(task.train.files, name)))
    tower = model.get_layer(tower_name(name))
    trained = image_tower(name, feature, task.seed, any_size=takes_any_size(feature))
    trained.set_weights(tower.get_weights())
    if training.self_supervised is not None:
        _self_supervised(trained, name, feature, training.self_supervised, task)
    if supervised:
        settings = training.image_start or ImageStartSettings()
        _supervised(trained, name, feature, settings, training.metric_learning, task)
    tower.set_weights(trained.get_weights())
    return None


def takes_any_size(feature: ImageFeature) -> bool:
    """Whether the network computes the same whether its input's size is fixed or not.

    Those of ``keras.applications`` pad by the size that they are built with: trained without one, some would serve
    other embeddings than they were trained to give.
    """
    return feature.backbone == SMALL_CNN


def small_size(feature: ImageFeature) -> tuple[int, int]:
    """5/8 of the height and width, where the network takes that."""
    if not takes_any_size(feature):
        return feature.size
    height, width = (max(least_size(SMALL_CNN), round(side * 5 / 8)) for side in feature.size)
    return height, width


def _self_supervised(
    tower: keras.Model, name: str, feature: ImageFeature, settings: SelfSupervisedSettings, task: TrainingTask
) -> None:
    seed = keras.random.SeedGenerator(task.seed)
    values = tower.output
    for number in range(2):
        start = keras.initializers.GlorotUniform(seed)
        values = keras.layers.Dense(settings.projection, kernel_initializer=start, name=f"view_{number}")(values)
        if number == 0:
            values = keras.layers.Activation("relu", name="view_active")(values)
    model = keras.Model(tower.input, UnitLength(name="view")(values))
    pictures = task.picture_batches(small_size(feature), settings.batch_size)
    data = two_views(pictures, name, settings.augmentation, task.seed)
    steps = -(-task.train.count // settings.batch_size) * settings.epochs
    model.compile(
        keras.optimizers.AdamW(_rate(settings.learning_rate, steps), weight_decay=1e-4),
        ContrastiveLoss(settings.temperature), jit_compile=False,
    )  # fmt: skip
    folder = task.checkpoints / "self_supervised" if task.checkpoints else None
    _fit(model, [(data, settings.epochs)], folder, _named(task.report, "pictures without labels"))


def two_views(data: tf.data.Dataset, name: str, settings: AugmentationSettings, seed: int) -> tf.data.Dataset:
    """Batches of n pictures to (2n views, zeros): views i and n + i are of one picture."""

    def views(seeds: tf.Tensor, batch: tuple[dict[str, tf.Tensor], Any]) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = batch[0][transformed(name, PIXELS)]
        both_views = tf.concat([augmented(pixels, settings, seeds), augmented(pixels, settings, seeds + 1)], axis=0)
        return both_views, tf.zeros([tf.shape(both_views)[0]])

    return with_seeds(data, seed).map(views, num_parallel_calls=2, deterministic=True).prefetch(2)


def _supervised(
    tower: keras.Model, name: str, feature: ImageFeature, settings: ImageStartSettings,
    metric: MetricLearningSettings | None, task: TrainingTask,
) -> None:  # fmt: skip
    values = keras.layers.Rescaling(LOGIT_SCALE, name="logit_scale")(tower.output)
    outputs: dict[str, Any] = {}
    losses: dict[str, keras.losses.Loss] = {}
    for number, (objective, its) in enumerate(task.objectives.items()):
        start = keras.initializers.GlorotUniform(task.seed + number)
        head = keras.layers.Dense(task.sizes.classes[objective], kernel_initializer=start, name=objective)
        outputs[objective] = head(values)
        losses[objective] = its.image_loss(settings.label_smoothing)
    weights = {objective: its.weight for objective, its in task.objectives.items()}
    metrics = {objective: its.head_metrics() for objective, its in task.objectives.items()}
    metric = metric if any(its.single_label for its in task.objectives.values()) else None
    if metric is not None:
        outputs[EMBEDDING], losses[EMBEDDING], weights[EMBEDDING] = tower.output, metric_loss(metric), metric.weight
    model = keras.Model(tower.input, outputs)
    steps = -(-task.train.count // settings.batch_size) * settings.epochs
    model.compile(
        keras.optimizers.AdamW(_rate(settings.learning_rate, steps), weight_decay=settings.weight_decay),
        losses, loss_weights=weights, metrics=metrics, jit_compile=False,
    )  # fmt: skip
    folder = task.checkpoints / "image_start" if task.checkpoints else None
    phases = _supervised_phases(name, feature, settings, metric is not None, task)
    _fit(model, phases, folder, _named(task.report, "pictures"))


def _supervised_phases(
    name: str, feature: ImageFeature, settings: ImageStartSettings, metric: bool, task: TrainingTask
) -> list[tuple[tf.data.Dataset, int]]:
    """Batches of (pixels, targets), first of small pictures, and the epoch up to which each is trained on.

    Args:
      metric: whether the embedding has a target as well.
    """
    small = small_size(feature)
    small_epochs = min(settings.small_epochs, settings.epochs) if small != feature.size else 0
    phases = []
    for size, until in ((small, small_epochs), (feature.size, settings.epochs)):
        sized = feature.model_copy(update={"size": size})
        data = augmented_inputs(task.picture_batches(size, settings.batch_size), name, sized, task.seed)
        if metric:
            data = with_metric_target(data, task.objectives)
        phases.append((data.map(lambda inputs, targets: (inputs[transformed(name, PIXELS)], targets)), until))
    return phases


def _rate(highest: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    warm = max(1, int(steps * WARM_UP))
    return keras.optimizers.schedules.CosineDecay(
        highest / 30, max(1, steps - warm), alpha=0.01, warmup_target=highest, warmup_steps=warm
    )


def _named(report: Report | None, what: str) -> Report | None:
    return None if report is None else lambda done, total, text: report(done, total, f"{what}: {text}")


def _fit(
    model: keras.Model, phases: Sequence[tuple[tf.data.Dataset, int]], folder: Path | None, report: Report | None
) -> None:
    """Trains through the phases, each up to its last epoch, from where a killed run left off."""
    total = phases[-1][1]
    callbacks: list[keras.callbacks.Callback] = []
    done = 0
    if folder is not None:
        keeper = Checkpoints(folder)
        callbacks.append(keeper)
        done = keeper.resume(model)
    if report is not None:
        callbacks.append(ProgressLine(report, total))
    first = 0
    for data, until in phases:
        for _ in range(min(done, until) - first):
            iter(data)  # moves its random order on by an epoch
        if max(done, first) < until:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Your input ran out of data")
                model.fit(
                    data, initial_epoch=max(done, first), epochs=until, shuffle=False, verbose=0, callbacks=callbacks
                )
        first = max(first, until)
