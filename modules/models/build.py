"""Linear, LSA, deep and wide & deep models over the workflow's features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from modules.features import Feature, image_feature, without_towers
from modules.features.base import LayerSettings, Learned, ModelContext
from modules.graph_ops.layers import UnitLength
from modules.models.towers import EMBEDDING, EMBEDDING_IMAGE, EMBEDDING_TEXT, Joined, joined
from modules.settings.model import ModelSettings
from modules.settings.workflow import Workflow

LSA = "lsa"


@dataclass(frozen=True)
class InputSizes:
    """What only a finished Transform (and taxonomy) knows.

    Attributes:
      features: of each feature but those with a tower, what Transform has found.
      classes: objective to number of classes.
    """

    features: Mapping[str, Learned]
    classes: Mapping[str, int]


def projection_width(settings: ModelSettings) -> int:
    """Width of the embedding of a model without hidden layers."""
    return settings.embedding_width or (512 if settings.kind == LSA else 128)


def model_inputs(features: Mapping[str, Feature]) -> dict[str, keras.KerasTensor]:
    """Symbolic inputs by Transform's output names; token ids are padded with -1 to the batch's longest row."""
    return {key: one for name, feature in features.items() for key, one in feature.keras_inputs(name).items()}


def build_model(workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The model that the workflow declares.

    Returns:
      A functional model from :func:`model_inputs` to a dict: per objective its logits (batch, classes), float32, and
      ``embedding`` (batch, width), float32, rows of unit length. With an image feature beside others also
      ``embedding_text`` and ``embedding_image``; of a product without text, or without a picture, rows of zeros.
    """
    builder = _Builder(workflow, sizes)
    inputs = model_inputs(workflow.features)
    kind, image = workflow.model.kind, image_feature(workflow.features)
    own = builder.own_embedding(inputs) if builder.features else None
    towers: Joined | None = None
    if image is not None:
        towers = joined(workflow.model, inputs, builder.features, own, image, builder.next_seed)
        embedding, shared = towers.embedding, towers.shared
    else:
        # LSA's heads read the same numbers that are the embedding.
        embedding = UnitLength(name=EMBEDDING)(own)
        shared = embedding if kind == LSA else own
    logits: dict[str, list[Any]] = {name: [] for name in workflow.objectives}
    if kind in ("deep", "wide_deep", LSA):
        for name, parts in logits.items():
            start = "glorot_uniform" if kind == LSA else keras.initializers.GlorotUniform(builder.next_seed())
            layer = f"{name}_head" if kind == LSA else f"{name}_deep"
            head = keras.layers.Dense(sizes.classes[name], kernel_initializer=start, name=layer, dtype="float32")
            parts.append(head(shared))
    if kind == "linear" or (kind == "wide_deep" and builder.features):
        for name, parts in logits.items():
            parts.append(builder.wide(inputs, name, towers))
    outputs: dict[str, Any] = {
        name: parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_logits", dtype="float32")(parts)
        for name, parts in logits.items()
    }
    outputs[EMBEDDING] = embedding
    if towers is not None and own is not None:
        outputs |= {EMBEDDING_TEXT: towers.text, EMBEDDING_IMAGE: towers.picture}
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
        self.features = without_towers(workflow.features)
        """All but the image feature, which is a tower of its own."""
        self.image = next((name for name in workflow.features if name not in self.features), None)
        self.settings, self.sizes = workflow.model, sizes
        self.seed = workflow.seed
        self.context = ModelContext(self.next_seed, self.settings.input_dropout, sizes.features)

    def next_seed(self) -> int:
        self.seed += 1
        return self.seed

    def summed(self, inputs, width: int, name: str, *, initializer: str | None = None, trainable: bool = True):
        """One linear map from all features to ``width`` numbers, without bias: each feature's share, added up."""
        parts = []
        for feature_name, feature in self.features.items():
            start = initializer or self.context.normal(width**-0.5)
            layer = LayerSettings(f"{name}_{feature_name}", width, start, trainable)
            parts.append(feature.linear_map(feature_name, inputs, layer, self.context))
        return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_sum")(parts)

    def wide(self, inputs, objective: str, towers: Joined | None):
        """An objective's logits straight from the features (and, in a linear model, from the image embedding)."""
        name, classes, parts = f"{objective}_wide", self.sizes.classes[objective], []
        if self.features:
            parts.append(self.summed(inputs, classes, name, initializer="zeros"))
            if towers is not None:
                # A product whose text is hidden in training shows none of it.
                parts = [keras.layers.Multiply(name=f"{name}_shown")([parts[0], towers.text_shown])]
        if towers is not None and self.settings.kind == "linear" and self.image is not None:
            layer = keras.layers.Dense(classes, use_bias=False, kernel_initializer="zeros", name=f"{name}_{self.image}")
            parts.append(layer(towers.image))
        values = parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_with_image")(parts)
        return Bias(name=f"{objective}_bias")(values)

    def own_embedding(self, inputs):
        """What the model makes of all features but the picture, before it is scaled to unit length."""
        if self.settings.kind in ("deep", "wide_deep"):
            return self.body(inputs)
        # The SVD's weights are set when training has found them; a linear model's stay as they are drawn.
        start = "zeros" if self.settings.kind == LSA else None
        return self.summed(inputs, projection_width(self.settings), "projection", initializer=start, trainable=False)

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
        parts = [feature.encoded(name, inputs, self.context) for name, feature in self.features.items()]
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features")(parts)
