"""Members into one model: calibrated, weighed, or the best one chosen, on the eval split only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from modules.objectives.base import LEAST_LABELS, ObjectiveSettings
from modules.settings.workflow import Workflow
from modules.training.calibration import Calibration, calibrate
from modules.training.committee import dropout_members
from modules.training.member import TrainingData, full_precision_model
from modules.training.member_weights import eval_loss, member_weights

CELLS = 1 << 26
"""Logits of the eval split that are held at once, over all members: labelled products beyond that are left out."""


@dataclass(frozen=True)
class Committee:
    """What is exported; a single model is a committee of one.

    Attributes:
      members: models that answer. embedder: the one whose embedding is given.
      kept: numbers of the trained members that are still needed.
      weights: objective to the members' factors, or powers where ``stacked``.
      temperatures: objective to each member's own temperature, of kinds that have one.
      calibration: of the consensus. eval_losses: of each trained member, where one is chosen by it.
    """

    members: Sequence[keras.Model]
    embedder: keras.Model
    kept: list[int]
    calibration: Calibration
    weights: dict[str, list[float]] = field(default_factory=dict)
    temperatures: dict[str, list[float]] = field(default_factory=dict)
    stacked: bool = False
    eval_losses: list[float] = field(default_factory=list)

    def probabilities(self, logits: tf.Tensor, name: str, objective: ObjectiveSettings) -> tf.Tensor:
        """Each member's own, (members, batch, classes), from logits of this shape."""
        return objective.member_probabilities(logits, self.temperatures.get(name, ()))

    def consensus(self, probabilities: tf.Tensor, name: str, objective: ObjectiveSettings) -> tf.Tensor:
        """Logits of the committee before its calibration, (batch, classes)."""
        return objective.combined_logits(probabilities, self.weights[name], self.stacked)

    def refitted(self, fitted: Sequence[keras.Model], workflow: Workflow, data: TrainingData) -> Committee:
        """The same weights and calibration around models that were fitted again."""
        members, embedder = _members([fitted[number] for number in self.kept], workflow, data)
        return dataclasses.replace(self, members=members, embedder=embedder)


def gathered(fitted: Sequence[keras.Model], workflow: Workflow, data: TrainingData) -> Committee:
    """The committee of the trained models, as the workflow combines them."""
    settings, objectives = workflow.committee, workflow.objectives
    members, embedder = _members(fitted, workflow, data)
    logits, targets = eval_logits(members, workflow, data) if data.has_eval else ({}, {})
    if len(members) == 1:
        calibration = _calibrated({n: z[0] for n, z in logits.items()}, targets, workflow)
        return Committee(members, embedder, [0], calibration)
    assert settings is not None
    own = [_calibrated({n: z[number] for n, z in logits.items()}, targets, workflow) for number in range(len(members))]
    temperatures = {name: [calibration.temperature[name] for calibration in own] for name in own[0].temperature}
    probabilities = {
        name: objectives[name].member_probabilities(tf.constant(z), temperatures.get(name, ())).numpy()
        for name, z in logits.items()
    }
    if settings.combine == "best":
        losses = [
            sum(o.weight * eval_loss(o, probabilities[n][number], targets[n]) for n, o in objectives.items())
            if logits else 0.0
            for number in range(len(members))
        ]  # fmt: skip
        best = int(np.argmin(losses))
        return Committee([members[best]], members[best], [best], own[best], eval_losses=losses)
    equal = [1.0 / len(members)] * len(members)
    weights = {name: equal for name in objectives}
    for name, own_probabilities in probabilities.items():
        weights[name] = member_weights(
            settings.combine, objectives[name], own_probabilities, targets[name], LEAST_LABELS
        )
    committee = Committee(
        members, embedder, list(range(len(fitted))), Calibration(dict.fromkeys(temperatures, 1.0)), weights,
        temperatures, settings.combine == "stacked",
    )  # fmt: skip
    if not logits:
        return committee
    together = {n: committee.consensus(tf.constant(p), n, objectives[n]).numpy() for n, p in probabilities.items()}
    consensus_calibration = _calibrated(together, targets, workflow)
    # Members that are calibrated each need no further temperature where none can be fitted.
    for name, labels in targets.items():
        if name in consensus_calibration.temperature and int((labels >= 0).sum()) < LEAST_LABELS:
            consensus_calibration.temperature[name] = 1.0
    return dataclasses.replace(committee, calibration=consensus_calibration)


def trained_members(workflow: Workflow) -> int:
    """How many models are trained."""
    committee = workflow.committee
    return 1 if committee is None or committee.by == "dropout" else committee.size


def _members(
    fitted: Sequence[keras.Model], workflow: Workflow, data: TrainingData
) -> tuple[Sequence[keras.Model], keras.Model]:
    committee = workflow.committee
    if committee is None or committee.by != "dropout":
        return fitted, fitted[0]

    def build() -> keras.Model:
        return full_precision_model(workflow, data.sizes)

    return dropout_members(fitted[0], workflow, build, committee.size), fitted[0]


def _calibrated(logits: dict[str, np.ndarray], targets: dict[str, np.ndarray], workflow: Workflow) -> Calibration:
    if not logits:
        return Calibration.before_eval(workflow.objectives)
    return calibrate(logits, targets, workflow.objectives)


def eval_logits(
    members: Sequence[keras.Model], workflow: Workflow, data: TrainingData
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Logits (members, rows, classes) and targets of the eval split's labelled products, by objective.

    Products come in the order of the files, which is the order of hashes: the first ones are as good as any.
    """
    call = tf.function(
        lambda inputs: {
            name: tf.stack([tf.cast(member(inputs, training=False)[name], tf.float32) for member in members])
            for name in workflow.objectives
        },
        reduce_retracing=True,
        autograph=False,
    )
    logits: dict[str, list[np.ndarray]] = {name: [] for name in workflow.objectives}
    targets: dict[str, list[np.ndarray]] = {name: [] for name in workflow.objectives}
    left = {name: max(1, CELLS // (len(members) * data.sizes.classes[name])) for name in workflow.objectives}
    for inputs, labels in data.eval_batches(workflow):
        if not any(left.values()):
            break
        outputs = call(inputs)
        for name, count in left.items():
            truth = labels[name].numpy()
            rows = workflow.objectives[name].labelled(truth)[:count]
            logits[name].append(outputs[name].numpy()[:, rows])
            targets[name].append(truth[rows])
            left[name] -= len(rows)
    return (
        {name: np.concatenate(parts, axis=1) for name, parts in logits.items()},
        {name: np.concatenate(parts) for name, parts in targets.items()},
    )
