"""What makes the members of a committee, and what each of them weighs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np
import numpy.typing as npt
from scipy import optimize

from modules.graph_ops.layers import EmbeddingBag
from modules.models.neural import NeuralModelSettings
from modules.settings.workflow import Workflow

Floats: TypeAlias = npt.NDArray[np.floating]
Integers: TypeAlias = npt.NDArray[np.integer]
LEAST = 1e-30


def member_workflow(workflow: Workflow, number: int) -> Workflow:
    """The workflow of one member, with a seed of its own; member 0's is the workflow's own."""
    committee = workflow.committee
    if committee is None or number == 0:
        return workflow
    if committee.by == "kinds":
        return committee.kinds[number - 1].within(workflow)
    return workflow.model_copy(update={"seed": (workflow.seed + 7919 * number) % 2**31})


def resampled(workflow: Workflow, number: int) -> bool:
    """Whether the member learns from a bootstrap resample. Bumping always lets the original sample take part."""
    committee = workflow.committee
    return committee is not None and committee.by == "bootstrap" and (number > 0 or committee.combine != "best")


def dropout_members(
    model: keras.Model, workflow: Workflow, build: Callable[[], keras.Model], count: int
) -> list[keras.Model]:
    """The model under ``count`` fixed dropout masks.

    A mask on a layer's outputs that is the same for all products is a mask on the rows of the kernels that read
    them, so a member is the same model with other weights. Shared masks make members comparable over products
    (Kirsch et al. 2019, section 3.1).

    Args:
      build: () -> a new model of the workflow's kind, built.
    """
    rng = np.random.default_rng(workflow.seed)
    settings = workflow.model
    assert isinstance(settings, NeuralModelSettings)
    found = []
    for _ in range(count):
        member = build()
        member.set_weights(model.get_weights())
        for number, width in enumerate(settings.hidden):
            readers = [f"hidden_{number + 1}"]
            if number + 1 == len(settings.hidden):
                readers = [f"{name}_deep" for name in workflow.objectives]
            mask = _mask(rng, width, settings.dropout)
            for reader in readers:
                kernel, *rest = member.get_layer(reader).get_weights()
                member.get_layer(reader).set_weights([kernel * mask[:, None], *rest])
        for feature in workflow.features if settings.input_dropout else ():
            names = (f"_{feature}", f"{feature}_embedding")
            bags = [one for one in member.layers if isinstance(one, EmbeddingBag) and one.name.endswith(names)]
            masks: dict[int, Floats] = {}
            for bag in bags:
                (table,) = bag.get_weights()
                mask = masks.setdefault(len(table), _mask(rng, len(table), settings.input_dropout))
                bag.set_weights([table * mask[:, None]])
        found.append(member)
    return found


def _mask(rng: np.random.Generator, width: int, rate: float) -> Floats:
    return ((rng.random(width) >= rate) / (1.0 - rate)).astype(np.float32)


def mixture_weights(likelihoods: Floats, rounds: int = 200) -> list[float]:
    """Factors of a weighted average under which the labels are most likely, by EM (a concave problem).

    Args:
      likelihoods: (members, labels), each member's probability of what turned out to be true.

    Returns:
      Weights, at least 0, of sum 1; equal ones without a label.
    """
    members, labels = likelihoods.shape
    weights = np.full(members, 1.0 / members)
    if labels == 0:
        return [float(w) for w in weights]
    values = np.maximum(likelihoods.astype(np.float64), LEAST)
    for _ in range(rounds):
        shares = weights[:, None] * values
        following = (shares / shares.sum(axis=0)).mean(axis=1)
        if np.abs(following - weights).max() < 1e-7:
            break
        weights = following
    return [float(w) for w in weights]


def stacking_powers(probabilities: Floats, labels: Integers) -> list[float]:
    """Powers a_k >= 0 of the members' probabilities under whose normalised product the labels are most likely.

    Args:
      probabilities: (members, rows, classes). labels: (rows,), classes.

    Returns:
      One power per member; 1 / members each without a row.
    """
    members, rows, _ = probabilities.shape
    start = np.full(members, 1.0 / members)
    if rows == 0:
        return [float(a) for a in start]
    logs = np.log(np.maximum(probabilities, LEAST)).astype(np.float32)
    at = np.arange(rows)

    def loss(powers: Floats) -> tuple[float, Floats]:
        z = np.tensordot(powers.astype(np.float32), logs, 1)
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        value = float((np.log(total[:, 0].astype(np.float64)) - z[at, labels]).mean())
        slope = np.array([float(((p * one).sum(axis=1) - one[at, labels]).mean()) for one in logs])
        return value, slope

    return _bounded(loss, start)


def odds_powers(probabilities: Floats, labels: Floats | Integers) -> list[float]:
    """The same for independent categories: powers of the members' odds.

    Args:
      probabilities: (members, cells). labels: (cells,), 1 or 0.
    """
    members, cells = probabilities.shape
    start = np.full(members, 1.0 / members)
    if cells == 0:
        return [float(a) for a in start]
    p = probabilities.astype(np.float64)
    odds = np.log(np.maximum(p, LEAST)) - np.log(np.maximum(1.0 - p, LEAST))

    def loss(powers: Floats) -> tuple[float, Floats]:
        z = powers @ odds
        value = float((np.logaddexp(0.0, z) - labels * z).mean())
        return value, odds @ (1.0 / (1.0 + np.exp(-z)) - labels) / cells

    return _bounded(loss, start)


def _bounded(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> list[float]:
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(start))
    powers = found.x if found.x.sum() > 0 else start
    return [float(a) for a in powers]


def member_weights(
    combine: str, kind: str, probabilities: Floats, labels: Floats | Integers, least: int
) -> list[float]:
    """The members' weights for one objective, fitted on the eval split; equal ones with fewer than ``least`` labels.

    Args:
      probabilities: (members, rows, classes).
      labels: exclusive: (rows,), classes or -1; multi-label: (rows, classes): 1 yes, 0 no, -1 unknown.
    """
    members = len(probabilities)
    equal = [1.0 / members] * members
    if combine == "average":
        return equal
    if kind == "exclusive":
        rows = np.flatnonzero(labels >= 0)
        if len(rows) < least:
            return equal
        truth = labels[rows].astype(np.int64)
        if combine == "stacked":
            return stacking_powers(probabilities[:, rows], truth)
        return mixture_weights(probabilities[:, rows, truth])
    known = labels >= 0
    if known.any(axis=1).sum() < least:
        return equal
    cells, truth = probabilities[:, known], (labels[known] > 0.5).astype(np.int64)
    if combine == "stacked":
        return odds_powers(cells, truth)
    return mixture_weights(np.where(truth > 0.5, cells, 1.0 - cells))


def eval_loss(kind: str, probabilities: Floats, labels: Floats | Integers) -> float:
    """Mean negative log-likelihood of the labels under (rows, classes) probabilities; 0 without a label."""
    if kind == "exclusive":
        rows = np.flatnonzero(labels >= 0)
        likely: Sequence[float] | Floats = probabilities[rows, labels[rows].astype(np.int64)]
    else:
        known = labels >= 0
        likely = np.where(labels[known] > 0.5, probabilities[known], 1.0 - probabilities[known])
    return float(-np.log(np.maximum(likely, LEAST)).mean()) if len(likely) else 0.0
