"""What the kinds share that are a vector of numbers, whose last one flags presence unless the kind says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from modules.examples import transformed
from modules.features.base import FeatureSettings, LayerSettings, Learned, ModelContext

if TYPE_CHECKING:
    import numpy as np
    from scipy import sparse


class NumericFeature(FeatureSettings):
    """One transformed column, ``<name>/<suffix>``: float32 (n, :attr:`size`)."""

    suffix: ClassVar[str]

    @property
    def size(self) -> int:
        """The numbers of a row, a presence flag included."""
        raise NotImplementedError

    def learned(self, name: str, transform_output: Any, seed: int) -> Learned:
        return Learned(self.size)

    def example_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        return {transformed(name, self.suffix): tf.io.FixedLenFeature([self.size], tf.float32)}

    def keras_inputs(self, name: str) -> dict[str, Any]:
        import keras

        return {
            transformed(name, self.suffix): keras.Input((self.size,), dtype="float32", name=f"{name}_{self.suffix}")
        }

    def linear_map(self, name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        import keras

        dense = keras.layers.Dense(
            layer.width,
            use_bias=False,
            kernel_initializer=layer.initializer,
            name=layer.name,
            trainable=layer.trainable,
        )
        return dense(inputs[transformed(name, self.suffix)])

    def encoded(self, name: str, inputs: Mapping[str, Any], context: ModelContext) -> Any:
        return inputs[transformed(name, self.suffix)]

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        return inputs[transformed(name, self.suffix)][:, -1]

    def design_block(self, name: str, inputs: Mapping[str, np.ndarray], size: int) -> sparse.csr_matrix:
        from scipy import sparse

        return sparse.csr_matrix(inputs[transformed(name, self.suffix)])
