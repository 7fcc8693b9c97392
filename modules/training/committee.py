"""What makes the members of a committee."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from modules.arrays import FloatArray
from modules.graph_ops.layers import EmbeddingBag
from modules.graph_ops.word_sequences import WordVectors
from modules.models.neural import NeuralModelSettings
from modules.settings.workflow import Workflow


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
    members = []
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
            masks: dict[int, FloatArray] = {}
            for layer in member.layers:
                if isinstance(layer, EmbeddingBag | WordVectors) and layer.name.endswith(names):
                    rows = layer.vocabulary
                    layer.leave_out(masks.setdefault(rows, _mask(rng, rows, settings.input_dropout)))
        members.append(member)
    return members


def _mask(rng: np.random.Generator, width: int, rate: float) -> FloatArray:
    return ((rng.random(width) >= rate) / (1.0 - rate)).astype(np.float32)
