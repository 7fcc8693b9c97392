"""The losses there are. Each is a file of ``modules/losses`` with the same name, and a line of :data:`LOSSES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class LossFacts:
    """What can be said of a loss without TensorFlow. Gradient descent minimises every loss.

    Attributes:
      single_label: whether it compares scores with one category per product; otherwise with a yes or no per category.
        Every kind of objective whose labels are of that form takes it.
      exact: whether ways of training in closed form minimise it as well (``fit_liblinear``).
      smoothing: whether gradient descent heeds an objective's ``label_smoothing`` with it.
    """

    single_label: bool
    exact: bool = False
    smoothing: bool = False


LOSSES: Mapping[str, LossFacts] = {
    "cross_entropy": LossFacts(single_label=True, exact=True, smoothing=True),
    "squared_hinge": LossFacts(single_label=True, exact=True),
    "binary_cross_entropy": LossFacts(single_label=False, exact=True),
}


@dataclass(frozen=True)
class LossName:
    """Annotation of an objective's ``loss``: one of the losses for labels of its form.

    Args:
      single_label: as in :class:`LossFacts`.
    """

    single_label: bool

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(losses_for(self.single_label))


def losses_for(single_label: bool) -> list[str]:
    """The names of the losses for labels of this form, in the order of :data:`LOSSES`."""
    return [name for name, facts in LOSSES.items() if facts.single_label == single_label]
