"""Kinds of models, and the layers that they are built from.

A kind is a file of this folder and a line of :data:`Model`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, get_args

from pydantic import Field

from modules.errors import Problem
from modules.models.base import ModelSettings
from modules.models.deep import DeepModel
from modules.models.linear import LinearModel
from modules.models.lsa import LsaModel
from modules.models.wide_deep import WideDeepModel
from modules.settings.base import DefaultTag, contradiction

if TYPE_CHECKING:
    from modules.training.methods.base import TrainingSettings

Model = Annotated[
    LinearModel | LsaModel | DeepModel | WideDeepModel, Field(discriminator="kind"), DefaultTag("kind", "wide_deep")
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
    solver = training.solver
    kinds = [kind.model_fields["kind"].default for kind in KINDS if solver in kind.solvers]
    if model.kind in kinds:
        return
    if solver in WideDeepModel.solvers:
        yield contradiction(f"{model_place}.kind", model.kind, f"training.solver: {' or '.join(model.solvers)}")
    else:
        expected = f"model.kind: {' or '.join(kinds)}; {model.kind} is trained by {' or '.join(model.solvers)}"
        yield contradiction(f"{training_place}.solver", solver, expected)
