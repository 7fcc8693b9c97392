"""Kinds of models, and the layers that they are built from.

A kind is a file of this folder and a line of :data:`Model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args

from pydantic import Field

from modules.errors import Problem
from modules.models.auto import AutoModel
from modules.models.base import ModelSettings
from modules.models.deep import DeepModel
from modules.models.gaussian_process import GaussianProcessModel
from modules.models.linear import LinearModel
from modules.models.lsa import LsaModel
from modules.models.wide_deep import WideDeepModel
from modules.settings.base import DefaultTag, contradiction
from modules.training.methods import solvers
from modules.training.methods.base import TrainingSettings

Model = Annotated[
    AutoModel | LinearModel | LsaModel | GaussianProcessModel | DeepModel | WideDeepModel,
    Field(discriminator="kind"),
    DefaultTag("kind", "wide_deep"),
]
"""Any kind, as the workflow file declares it."""

KINDS: tuple[type[ModelSettings], ...] = get_args(get_args(Model)[0])


def solver_problems(
    model: ModelSettings, training: TrainingSettings, model_place: str, training_place: str
) -> Iterator[Problem]:
    """A model whose solver cannot train it.

    Args:
      model_place, training_place: their dotted keys.
    """
    if training.trains(type(model)):
        return
    able = solvers(lambda way: way.trains(type(model)))
    if training.trains(WideDeepModel):
        yield contradiction(f"{model_place}.kind", model.kind, f"training.solver: {able}")
    else:
        kinds = " or ".join(kind.model_fields["kind"].default for kind in KINDS if training.trains(kind))
        expected = f"model.kind: {kinds}; {model.kind} is trained by {able}"
        yield contradiction(f"{training_place}.solver", training.solver, expected)
