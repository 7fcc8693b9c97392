"""A wide & deep model (Cheng et al. 2016): the sum of a linear and a deep model, trained together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from modules.models.neural import NeuralModelSettings

if TYPE_CHECKING:
    from modules.models.build import Builder
    from modules.models.towers import Joined


class WideDeepModel(NeuralModelSettings):
    """One head per objective on shared hidden layers, and beside it one straight on the features."""

    kind: Literal["wide_deep"] = "wide_deep"

    @property
    def reads_weights(self) -> bool:
        return True

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        parts = self.deep_logits(builder, shared)
        if builder.features:
            for name, logits in parts.items():
                logits.append(builder.wide(inputs, name, towers))
        return parts
