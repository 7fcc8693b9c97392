"""Gradient descent with Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modules.training.methods.gradient import GradientTraining

if TYPE_CHECKING:
    import keras


class AdamTraining(GradientTraining):
    """Gradient descent on batches of products (:mod:`modules.training.optimizer`)."""

    solver: Literal["adam"] = "adam"

    def optimizer(self, learning_rate: Any, l2: float) -> keras.optimizers.Optimizer:
        from modules.training.optimizer import LazyAdam

        return LazyAdam(learning_rate, clip_norm=self.clip_norm, l2=l2)
