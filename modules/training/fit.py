"""The training loop: Keras' own ``fit`` with masked losses, early stopping, checkpoints and resume."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from modules.losses import loss_named
from modules.objectives import Objective
from modules.predictions.columns import EMBEDDING
from modules.training.checkpoints import Checkpoints
from modules.training.masked_metrics import MaskedMean
from modules.training.methods.base import FitResult
from modules.vision.losses import metric_loss

if TYPE_CHECKING:
    from modules.training.methods.gradient import GradientTraining

METRICS = ("labelled_loss", "accuracy")
"""Each objective's metrics. Keras logs them as ``<objective>_<metric>``, with ``val_`` in front on the eval split."""


@dataclass(frozen=True)
class Heads:
    """What is minimised.

    Attributes:
      objectives: a head for each. losses: objective to its masked loss.
      l2: strength of the penalty on weight matrices and embedding tables.
    """

    objectives: Mapping[str, Objective]
    losses: Mapping[str, keras.losses.Loss]
    l2: float = 0.0


def losses_of(
    objectives: Mapping[str, Objective], class_weights: Mapping[str, list[float] | None]
) -> dict[str, keras.losses.Loss]:
    """Objective to its masked loss."""
    return {
        name: loss_named(objective.loss).keras_loss(objective, class_weights.get(name))
        for name, objective in objectives.items()
    }


def balanced_weights(counts: np.ndarray) -> list[float]:
    """n / (classes * count) per class, of the classes that occur (as scikit-learn's ``balanced``); 1 for the others."""
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return [float(w) for w in weights]


def compile_model(model: keras.Model, training: GradientTraining, heads: Heads, steps: int) -> None:
    """Optimiser, losses and metrics as the settings declare them; ``steps``: of the whole training."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = training.learning_rate
    if training.learning_rate_decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(training.learning_rate, max(1, steps), alpha=0.02)
    every, weights = dict(heads.losses), {name: o.weight for name, o in heads.objectives.items()}
    if training.metric_learning is not None:
        every[EMBEDDING], weights[EMBEDDING] = metric_loss(training.metric_learning), training.metric_learning.weight
    model.compile(
        optimizer=training.optimizer(rate, heads.l2),
        loss=every,
        loss_weights=weights,
        metrics={
            name: [MaskedMean(heads.losses[name]), *objective.head_metrics()]
            for name, objective in heads.objectives.items()
        },
        jit_compile=False,
    )


def with_metric_target(
    data: tf.data.Dataset | None, objectives: Mapping[str, Objective]
) -> tf.data.Dataset | None:  # fmt: skip
    """Batches of (inputs, targets) whose embedding has a target, too: the first single-label objective's classes."""
    first = next((name for name, objective in objectives.items() if objective.single_label), None)
    if data is None or first is None:
        return data
    return data.map(lambda inputs, targets: (inputs, {**targets, EMBEDDING: targets[first]}))


class BestEpoch(keras.callbacks.Callback):
    """Early stopping on the eval split, keeping the best weights.

    Args:
      watch: logs of an epoch to the number to be as low as possible.
      patience: epochs without a better one before training stops; 0 never stops.
    """

    def __init__(self, watch: Callable[[Mapping[str, float]], float], patience: int):
        super().__init__()
        self.watch, self.patience = watch, patience
        self.best, self.best_epoch = float("inf"), 0
        self.weights: list[np.ndarray] | None = None
        self.history: dict[str, list[float]] = {}
        self.stopped = False

    def state(self) -> dict[str, Any]:
        """All but the weights, for a checkpoint."""
        return {"best": self.best, "best_epoch": self.best_epoch, "stopped": self.stopped, "history": self.history}

    def restore(self, state: Mapping[str, Any], weights: list[np.ndarray] | None) -> None:
        """The inverse of :meth:`state`."""
        self.best, self.best_epoch, self.stopped = state["best"], state["best_epoch"], state["stopped"]
        self.history, self.weights = state["history"], weights

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {key: float(value) for key, value in (logs or {}).items()}
        for key, value in logs.items():
            self.history.setdefault(key, []).append(value)
        value = self.watch(logs)
        if value < self.best:
            self.best, self.best_epoch, self.weights = value, epoch + 1, self.model.get_weights()
        if self.patience and epoch + 1 - self.best_epoch >= self.patience:
            self.stopped = self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.weights is not None:
            self.model.set_weights(self.weights)


class ProgressLine(keras.callbacks.Callback):
    """Tells ``report(done, total, text)`` after each epoch."""

    def __init__(self, report: Callable[[int, int, str], None], epochs: int):
        super().__init__()
        self.report, self.epochs = report, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        shown = ", ".join(f"{key[4:]} {value:.3f}" for key, value in (logs or {}).items() if key.startswith("val_"))
        self.report(epoch + 1, self.epochs, shown or f"loss {(logs or {}).get('loss', float('nan')):.3f}")


def watched(
    objectives: Mapping[str, Objective], monitor: str, has_eval: bool
) -> Callable[[Mapping[str, float]], float]:
    """What early stopping keeps low: the weighted sum of exact eval losses, or minus the exclusive accuracy."""
    prefix = "val_" if has_eval else ""
    if monitor == "accuracy":
        first = next(name for name, objective in objectives.items() if objective.single_label)
        return lambda logs: -logs[f"{prefix}{first}_accuracy"]
    weights = {name: o.weight for name, o in objectives.items()}
    return lambda logs: sum(weight * logs[f"{prefix}{name}_labelled_loss"] for name, weight in weights.items())


def _named(logs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """The logs with the objective in each name, which Keras leaves out where a model has one output."""
    if len(outputs) > 1:
        return dict(logs)
    (only,) = outputs
    own = {f"{prefix}{metric}": f"{prefix}{only}_{metric}" for prefix in ("", "val_") for metric in METRICS}
    return {own.get(key, key): value for key, value in logs.items()}


def fit(
    model: keras.Model,
    training: GradientTraining,
    heads: Heads,
    train: tf.data.Dataset,
    validation: tf.data.Dataset | None,
    *,
    steps_per_epoch: int,
    epochs: int | None = None,
    checkpoints: Path | None = None,
    logs: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FitResult:
    """Trains ``model`` in place and leaves it at its best epoch's weights.

    Args:
      epochs: fixed number of epochs, without early stopping; None: as ``training`` says.
      checkpoints: folder for a checkpoint per epoch. A run that was killed goes on from the last one there.
      logs: folder for TensorBoard.
      report: called with (epochs done, epochs in all, text).
    """
    total = training.epochs if epochs is None else epochs
    # The same layers, with the embedding as an output only where it has a loss.
    outputs = [*heads.objectives, *([EMBEDDING] if training.metric_learning else [])]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="When providing `inputs` as a dict")
        model = keras.Model(model.input, {name: model.output[name] for name in outputs})
    if training.metric_learning is not None:
        train, validation = (with_metric_target(data, heads.objectives) for data in (train, validation))
    compile_model(model, training, heads, total * steps_per_epoch)
    used: list[keras.callbacks.Callback] = []
    best = None
    if epochs is None:
        watch = watched(heads.objectives, training.monitor, validation is not None)
        best = BestEpoch(lambda logs: watch(_named(logs, outputs)), training.patience)
        used.append(best)
    done = 0
    if checkpoints is not None:
        keeper = Checkpoints(checkpoints, best)
        used.append(keeper)
        done = keeper.resume(model)
        for _ in range(done):
            iter(train)  # moves its shuffling on by an epoch
    if logs is not None:
        used.append(keras.callbacks.TensorBoard(str(logs), write_graph=False, update_freq="epoch"))
    if report is not None:
        used.append(ProgressLine(report, total))
    return _fit(model, train, validation, [*used, *callbacks], best, range(done, total), outputs)


def _fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset | None,
    callbacks: Sequence[keras.callbacks.Callback],
    best: BestEpoch | None,
    epochs: range,
    outputs: Sequence[str],
) -> FitResult:
    """Runs the epochs that are left, on the compiled model."""
    started = time.monotonic()
    if best is not None and best.stopped:
        # Killed after its last epoch.
        model.set_weights(best.weights)
        return FitResult(epochs.start, best.best_epoch, time.monotonic() - started, _named(best.history, outputs))
    with warnings.catch_warnings():
        # Every dataset ends; only its length is not known before.
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        history = model.fit(
            train, validation_data=validation, initial_epoch=epochs.start, epochs=epochs.stop, shuffle=False,
            verbose=0, callbacks=list(callbacks),
        )  # fmt: skip
    ran = best.history if best is not None else {k: [float(x) for x in v] for k, v in history.history.items()}
    count = len(next(iter(ran.values()), []))
    return FitResult(count, best.best_epoch if best else count, time.monotonic() - started, _named(ran, outputs))
