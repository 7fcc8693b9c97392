"""A Keras model over the workflow's features, of the kind that the workflow names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from modules.features import Feature, image_feature, without_towers
from modules.features.base import FeatureSettings, LayerSettings, Learned, ModelContext
from modules.graph_ops.layers import Bias, UnitLength
from modules.models.towers import Joined, joined
from modules.predictions.columns import EMBEDDING, EMBEDDING_IMAGE, EMBEDDING_TEXT

if TYPE_CHECKING:
    import numpy as np
    from scipy import sparse

    from modules.models.base import ModelSettings
    from modules.settings.workflow import Workflow


@dataclass(frozen=True)
class NameInputs:
    """The names of an objective's categories, read as if each were the text of a product.

    Attributes:
      encoded: feature to what its encoder makes of the names, float32 (classes, width), centred, rows of unit length
        times the feature's scale.
      words: float32 (classes, columns of the design matrix but an image feature's), without encoders' columns.
    """

    encoded: Mapping[str, np.ndarray]
    words: sparse.csr_matrix


@dataclass(frozen=True)
class InputSizes:
    """What only a finished Transform (and taxonomy) knows.

    Attributes:
      features: of each feature but those with a tower, what Transform has found.
      classes: objective to number of classes.
      names: of objectives with one category a product, where a model reads categories' names.
    """

    features: Mapping[str, Learned]
    classes: Mapping[str, int]
    names: Mapping[str, NameInputs] = field(default_factory=dict)


def model_inputs(features: Mapping[str, Feature]) -> dict[str, keras.KerasTensor]:
    """Symbolic inputs by Transform's output names; token ids are padded with -1 to the batch's longest row."""
    return {
        key: keras_input
        for name, feature in features.items()
        for key, keras_input in feature.keras_inputs(name).items()
    }


def build_model(workflow: Workflow, sizes: InputSizes) -> keras.Model:
    """The model that the workflow declares.

    Returns:
      A functional model from :func:`model_inputs` to a dict: per objective its logits (batch, classes), float32, and
      ``embedding`` (batch, width), float32, rows of unit length. With an image feature beside others also
      ``embedding_text`` and ``embedding_image``; of a product without text, or without a picture, rows of zeros.
    """
    builder, settings = Builder(workflow, sizes), workflow.model
    inputs, image = model_inputs(workflow.features), image_feature(workflow.features)
    own = settings.own_embedding(builder, inputs) if builder.features else None
    towers: Joined | None = None
    if image is not None:
        towers = joined(builder, inputs, own, image)
        embedding, shared = towers.embedding, towers.shared
    else:
        embedding = UnitLength(name=EMBEDDING)(own)
        shared = embedding if settings.heads_on_embedding else own
    logits = settings.logits(builder, inputs, shared, towers)
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
        return keras.Model(inputs=inputs, outputs=outputs, name=settings.kind)


MOST_COMPARED = 1500
"""With more categories, no words are compared: their table, and the matrix of all pairs of labels and names, would be
too large."""


def compares_words(model: ModelSettings, features: Mapping[str, FeatureSettings], classes: int) -> bool:
    """Whether the head of an objective with so many classes has :func:`words_layer`."""
    read = [feature for feature in features.values() if not feature.is_embedding]
    pictured = any(feature.has_tower for feature in read)
    return model.compares_words and classes <= MOST_COMPARED and bool(read) and not pictured


def words_layer(objective: str) -> str:
    """How the layers' names begin by which an objective's process compares words; a feature's name follows."""
    return f"{objective}_words"


class Builder:
    """The layers that kinds of models are put together from.

    Attributes:
      features: all but the image feature, which is a tower of its own.
      image: the name of the image feature, if there is one.
      settings: of the model. objectives: objective to number of classes.
      single_label: the objectives with one category a product.
    """

    def __init__(self, workflow: Workflow, sizes: InputSizes):
        self.features = without_towers(workflow.features)
        self.image = next((name for name in workflow.features if name not in self.features), None)
        self.settings = workflow.model
        self.objectives = {name: sizes.classes[name] for name in workflow.objectives}
        self.single_label = [name for name, objective in workflow.objectives.items() if objective.single_label]
        self._seed = workflow.seed
        self.context = ModelContext(self.next_seed, self.settings.token_dropout, sizes.features)

    def next_seed(self) -> int:
        """Another random seed at each call."""
        self._seed += 1
        return self._seed

    def dense(self, values: Any, width: int, name: str) -> Any:
        """A dense layer without activation."""
        start = keras.initializers.GlorotUniform(self.next_seed())
        return keras.layers.Dense(width, kernel_initializer=start, name=name)(values)

    def head(self, objective: str, layer: str, shared: Any, initializer: Any) -> Any:
        """An objective's logits as a dense layer on ``shared``, (batch, classes)."""
        classes = self.objectives[objective]
        return keras.layers.Dense(classes, kernel_initializer=initializer, name=layer, dtype="float32")(shared)

    def summed(
        self, inputs: Mapping[str, Any], width: int, name: str, *, initializer: str | None = None,
        trainable: bool = True, features: Mapping[str, FeatureSettings] | None = None,
    ) -> Any:  # fmt: skip
        """One linear map from ``features`` to ``width`` numbers, without bias: each feature's share, added up.

        Args:
          features: those that it reads; None: all.
        """
        parts = []
        for feature_name, feature in (self.features if features is None else features).items():
            start = initializer or self.context.normal(width**-0.5)
            layer = LayerSettings(f"{name}_{feature_name}", width, start, trainable)
            parts.append(feature.linear_map(feature_name, inputs, layer, self.context))
        return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_sum")(parts)

    def beside_embeddings(self, inputs: Mapping[str, Any], width: int, name: str) -> Any:
        """A linear map whose weights training sets, beside the features that are embeddings already.

        Returns:
          (batch, width) where no feature is one; else the map's part of unit length and theirs side by side.
        """
        embeddings = {key: feature for key, feature in self.features.items() if feature.is_embedding}
        others = {key: feature for key, feature in self.features.items() if key not in embeddings}
        mapped = []
        if others:
            mapped = [self.summed(inputs, width, name, initializer="zeros", trainable=False, features=others)]
        if not embeddings:
            return mapped[0]
        parts = [UnitLength(name=f"{name}_unit")(part) for part in mapped]
        parts += [feature.encoded(key, inputs, self.context) for key, feature in embeddings.items()]
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=f"{name}_beside")(parts)

    def wide(self, inputs: Mapping[str, Any], objective: str, towers: Joined | None, *, pictured: bool = False) -> Any:
        """An objective's logits straight from the features; ``pictured``: and from the image embedding."""
        name, classes, parts = f"{objective}_wide", self.objectives[objective], []
        if self.features:
            parts.append(self.summed(inputs, classes, name, initializer="zeros"))
            if towers is not None:
                # A product whose text is hidden in training shows none of it.
                parts = [keras.layers.Multiply(name=f"{name}_shown")([parts[0], towers.text_shown])]
        if towers is not None and pictured:
            layer = keras.layers.Dense(classes, use_bias=False, kernel_initializer="zeros", name=f"{name}_{self.image}")
            parts.append(layer(towers.image))
        values = parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_with_image")(parts)
        return Bias(name=f"{objective}_bias")(values)

    def words(self, inputs: Mapping[str, Any], objective: str) -> list[Any]:
        """An objective's logits straight from the features that are no embeddings themselves, as the one part of a
        list, which is empty where words are not compared."""
        classes = self.objectives[objective]
        if self.image is not None or not compares_words(self.settings, self.features, classes):
            return []
        others = {key: feature for key, feature in self.features.items() if not feature.is_embedding}
        return [self.summed(inputs, classes, words_layer(objective), initializer="zeros", features=others)]

    def concatenated(self, inputs: Mapping[str, Any]) -> Any:
        """All features' encodings side by side, (batch, width)."""
        parts = [feature.encoded(name, inputs, self.context) for name, feature in self.features.items()]
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features")(parts)
