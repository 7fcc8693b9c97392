"""Linear, LSA, deep and wide & deep models over the workflow's features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from modules.models.layers import EmbeddingBag, UnitLength
from modules.preprocessing.sizes import text_size
from modules.settings.features import CategoricalFeature, DenseFeature, Feature, PriceFeature, TextFeature
from modules.settings.model import ModelSettings
from modules.settings.workflow import Workflow

EMBEDDING = "embedding"
LSA = "lsa"


@dataclass(frozen=True)
class InputSizes:
    """What only a finished Transform (and taxonomy) knows.

    Attributes:
      categorical: feature to number of index values (missing and out of vocabulary included).
      classes: objective to number of classes.
      pretrained: text feature to its table of word vectors, (vocabulary, width).
    """

    categorical: Mapping[str, int]
    classes: Mapping[str, int]
    pretrained: Mapping[str, np.ndarray] = field(default_factory=dict)


def projection_width(settings: ModelSettings) -> int:
    """Width of the embedding of a model without hidden layers."""
    return settings.embedding_width or (512 if settings.kind == LSA else 128)


def model_inputs(features: Mapping[str, Feature]) -> dict[str, keras.KerasTensor]:
    """Symbolic inputs by Transform's output names; token ids are padded with -1 to the batch's longest row."""
    inputs: dict[str, keras.KerasTensor] = {}
    for name, feature in features.items():
        if isinstance(feature, TextFeature):
            inputs[f"{name}/ids"] = keras.Input((None,), dtype="int64", name=f"{name}_ids")
            inputs[f"{name}/weights"] = keras.Input((None,), dtype="float32", name=f"{name}_weights")
        elif isinstance(feature, CategoricalFeature):
            inputs[f"{name}/index"] = keras.Input((), dtype="int64", name=f"{name}_index")
        elif isinstance(feature, DenseFeature):
            inputs[f"{name}/vector"] = keras.Input((feature.dimension + 1,), dtype="float32", name=f"{name}_vector")
        elif isinstance(feature, PriceFeature):
            inputs[f"{name}/price"] = keras.Input((2,), dtype="float32", name=f"{name}_price")
    return inputs


def build_model(workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The model that the workflow declares.

    Returns:
      A functional model from :func:`model_inputs` to a dict: per objective its logits (batch, classes), float32, and
      ``embedding`` (batch, width), float32, rows of unit length.
    """
    builder = _Builder(workflow, sizes)
    inputs = model_inputs(workflow.features)
    kind = workflow.model.kind
    logits: dict[str, list[Any]] = {name: [] for name in workflow.objectives}
    if kind in ("deep", "wide_deep"):
        body = builder.body(inputs)
        embedding = body
        for name, parts in logits.items():
            parts.append(
                keras.layers.Dense(
                    sizes.classes[name],
                    kernel_initializer=keras.initializers.GlorotUniform(builder.next_seed()),
                    name=f"{name}_deep", dtype="float32",
                )(body)
            )  # fmt: skip
    elif kind == LSA:
        # The SVD's weights and the heads' are set when training has found them.
        width = projection_width(workflow.model)
        embedding = UnitLength(name="unit_projection")(
            builder.summed(inputs, width, "projection", initializer="zeros", trainable=False)
        )
        for name, parts in logits.items():
            parts.append(keras.layers.Dense(sizes.classes[name], name=f"{name}_head", dtype="float32")(embedding))
    else:
        embedding = builder.summed(inputs, projection_width(workflow.model), "projection", trainable=False)
    if kind in ("linear", "wide_deep"):
        for name, parts in logits.items():
            wide = builder.summed(inputs, sizes.classes[name], f"{name}_wide", initializer="zeros")
            parts.append(Bias(name=f"{name}_bias")(wide))
    outputs: dict[str, Any] = {
        name: parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_logits", dtype="float32")(parts)
        for name, parts in logits.items()
    }
    outputs[EMBEDDING] = UnitLength(name=EMBEDDING)(embedding)
    with warnings.catch_warnings():
        # Layer names may not hold the slash that Transform's output names have.
        warnings.filterwarnings("ignore", message="When providing `inputs` as a dict")
        return keras.Model(inputs=inputs, outputs=outputs, name=workflow.model.kind)


@keras.saving.register_keras_serializable("shelfmark")
class Bias(keras.layers.Layer):
    """Adds one learned number per output."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, values):
        return keras.ops.cast(values, "float32") + self.bias


class _Builder:
    def __init__(self, workflow: Workflow, sizes: InputSizes):
        self.features, self.settings, self.sizes = workflow.features, workflow.model, sizes
        self.seed = workflow.seed

    def next_seed(self) -> int:
        self.seed += 1
        return self.seed

    def normal(self, deviation: float) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=deviation, seed=self.next_seed())

    def summed(self, inputs, width: int, name: str, *, initializer: str | None = None, trainable: bool = True):
        """One linear map from all features to ``width`` numbers, without bias: each feature's share, added up."""
        parts = []
        for feature_name, feature in self.features.items():
            start = initializer or self.normal(width**-0.5)
            layer = f"{name}_{feature_name}"
            if isinstance(feature, TextFeature):
                parts.append(
                    EmbeddingBag(
                        text_size(feature), width, start, self.settings.input_dropout, self.next_seed(),
                        name=layer, trainable=trainable,
                    )(inputs[f"{feature_name}/ids"], inputs[f"{feature_name}/weights"])
                )  # fmt: skip
            elif isinstance(feature, CategoricalFeature):
                parts.append(
                    keras.layers.Embedding(
                        self.sizes.categorical[feature_name], width, start, name=layer, trainable=trainable
                    )(inputs[f"{feature_name}/index"])
                )
            else:
                parts.append(
                    keras.layers.Dense(
                        width, use_bias=False, kernel_initializer=start, name=layer, trainable=trainable
                    )(inputs[self._vector_name(feature_name, feature)])
                )
        return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_sum")(parts)

    def body(self, inputs):
        """The shared layers; returns (batch, hidden[-1])."""
        hidden = self.settings.hidden
        if self.settings.text_input == "histogram" and hidden:
            values = Bias(name="hidden_0_bias")(self.summed(inputs, hidden[0], "hidden_0"))
            values = self._finish(values, 0)
            rest = list(enumerate(hidden))[1:]
        else:
            values = self._concatenated(inputs)
            rest = list(enumerate(hidden))
        for number, width in rest:
            values = keras.layers.Dense(
                width,
                kernel_initializer=keras.initializers.GlorotUniform(self.next_seed()),
                name=f"hidden_{number}",
            )(values)
            values = self._finish(values, number)
        return values

    def _finish(self, values, number: int):
        if self.settings.normalization == "batch":
            values = keras.layers.BatchNormalization(name=f"hidden_{number}_norm")(values)
        elif self.settings.normalization == "layer":
            values = keras.layers.LayerNormalization(name=f"hidden_{number}_norm")(values)
        values = keras.layers.Activation(self.settings.activation, name=f"hidden_{number}_activation")(values)
        if self.settings.dropout:
            values = keras.layers.Dropout(self.settings.dropout, seed=self.next_seed(), name=f"hidden_{number}_drop")(
                values
            )
        return values

    def _concatenated(self, inputs):
        parts = []
        for name, feature in self.features.items():
            if isinstance(feature, TextFeature):
                parts.append(self._bag(name, feature, inputs))
            elif isinstance(feature, CategoricalFeature):
                parts.append(
                    keras.layers.Embedding(
                        self.sizes.categorical[name], feature.width, self.normal(0.05),
                        name=f"{name}_embedding", trainable=feature.embedding == "learned",
                    )(inputs[f"{name}/index"])
                )  # fmt: skip
            else:
                parts.append(inputs[self._vector_name(name, feature)])
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features")(parts)

    def _bag(self, name: str, feature: TextFeature, inputs):
        start: Any = self.normal(feature.width**-0.5)
        if name in self.sizes.pretrained:
            start = TableInitializer(self.sizes.pretrained[name])
        return EmbeddingBag(
            text_size(feature), feature.width, start, self.settings.input_dropout, self.next_seed(),
            name=f"{name}_embedding", trainable=feature.embedding != "random_fixed",
        )(inputs[f"{name}/ids"], inputs[f"{name}/weights"])  # fmt: skip

    @staticmethod
    def _vector_name(name: str, feature: Feature) -> str:
        return f"{name}/vector" if isinstance(feature, DenseFeature) else f"{name}/price"


class TableInitializer(keras.initializers.Initializer):
    """Starts from given rows (pretrained vectors); rows beyond them are zeros."""

    def __init__(self, table: np.ndarray):
        self.table = table

    def __call__(self, shape, dtype=None):
        full = np.zeros(shape, np.float32)
        full[: len(self.table)] = self.table
        return keras.ops.convert_to_tensor(full, dtype=dtype)
