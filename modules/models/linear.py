"""A linear model: each objective's logits straight from the features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modules.models.base import GradientModelSettings, Width

if TYPE_CHECKING:
    import keras
    import numpy as np

    from modules.losses.base import Matrix
    from modules.models.build import Builder
    from modules.models.towers import Joined
    from modules.training.design import Design

WIDTH = 128


class LinearModel(GradientModelSettings):
    """Linear in all features; its embedding is a fixed random projection of them."""

    kind: Literal["linear"] = "linear"
    embedding_width: Width | None = None
    """Width of the embedding, a fixed random projection of the input; null: 128."""

    exact: ClassVar[bool] = True

    def own_embedding(self, builder: Builder, inputs: Mapping[str, Any]) -> Any:
        return builder.summed(inputs, self.embedding_width or WIDTH, "projection", trainable=False)

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        return {name: [builder.wide(inputs, name, towers, pictured=True)] for name in builder.objectives}

    def head_inputs(self, model: keras.Model, design: Design, seed: int) -> Matrix:
        return design.matrix

    def set_head(self, model: keras.Model, objective: str, table: np.ndarray, bias: np.ndarray, design: Design) -> None:
        for feature, (start, end) in design.columns.items():
            model.get_layer(f"{objective}_wide_{feature}").set_weights([table[start:end]])
        model.get_layer(f"{objective}_bias").set_weights([bias])
