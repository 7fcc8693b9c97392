"""The losses there are. Each is a file of ``modules/losses`` with the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.objectives import Objective
    from modules.settings.model import TrainingSettings


@dataclass(frozen=True)
class LossFacts:
    """What can be said of a loss without TensorFlow.

    Attributes:
      solvers: values of ``training.solver`` that minimise it.
      smoothing: solvers for which it knows label smoothing.
    """

    solvers: tuple[str, ...]
    smoothing: tuple[str, ...] = ()


LOSSES: Mapping[str, LossFacts] = {
    "cross_entropy": LossFacts(solvers=("adam", "liblinear"), smoothing=("adam",)),
    "squared_hinge": LossFacts(solvers=("adam", "liblinear")),
    "binary_cross_entropy": LossFacts(solvers=("adam", "liblinear")),
}


def loss_contradictions(
    objectives: Mapping[str, Objective], training: TrainingSettings, place: str = ""
) -> Iterator[tuple[str, object, str]]:
    """Losses that the solver cannot minimise, or options of theirs that it would not use.

    Args:
      place: what the keys of ``training`` begin with; of a committee member's own training.

    Yields:
      Dotted key, value, what was expected.
    """
    for name, objective in objectives.items():
        facts, solver = LOSSES[objective.loss], training.solver
        if solver not in facts.solvers:
            expected = f"{' or '.join(facts.solvers)}, which can minimise objectives.{name}.loss: {objective.loss}"
            yield (f"{place}training.solver", solver, expected)
        smoothing = getattr(objective, "label_smoothing", 0.0)
        if smoothing and solver not in facts.smoothing:
            loss, its = next((loss, its) for loss, its in LOSSES.items() if its.smoothing)
            expected = (
                f"0, since {objective.loss} with {place}training.solver: {solver} knows no smoothing; "
                f"loss: {loss} with solver: {its.smoothing[0]} does"
            )
            yield (f"objectives.{name}.label_smoothing", f"{smoothing:g}", expected)
