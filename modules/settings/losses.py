"""The losses there are. Each is a file of ``modules/losses`` with the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
