"""A deep model: heads on shared hidden layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from modules.models.neural import NeuralModelSettings

if TYPE_CHECKING:
    from modules.models.build import Builder
    from modules.models.towers import Joined


class DeepModel(NeuralModelSettings):
    """One head per objective on shared hidden layers."""

    kind: Literal["deep"] = "deep"

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        return self.deep_logits(builder, shared)
