"""A text tower and an image tower joined into one compound embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from modules.examples import PIXELS, PRESENT, transformed
from modules.features.image import ImageFeature
from modules.graph_ops.layers import UnitLength
from modules.models.neural import NeuralModelSettings
from modules.predictions.columns import EMBEDDING, EMBEDDING_IMAGE, EMBEDDING_TEXT
from modules.vision.networks import image_tower

if TYPE_CHECKING:
    from modules.models.build import Builder

SHOWN = "shown"
"""Name of the layer that says which towers a product shows."""
_DROPPED = 0.3
"""Share of the products that show one tower in a step, where nothing else is said."""


@dataclass(frozen=True)
class Joined:
    """Symbolic tensors of a model with an image feature.

    Attributes:
      embedding: (batch, width), rows of unit length: of text and picture together.
      shared: what the heads of deep and LSA models read.
      image: (batch, width): the image embedding as linear heads read it, scaled, zeros if it is not shown.
      picture, text: each tower's own embedding, rows of unit length, or of zeros where there is nothing to embed.
      text_shown: (batch, 1), 0 where the product has no text, or training hides it. text and this: None without text.
    """

    embedding: Any
    shared: Any
    image: Any
    picture: Any
    text: Any = None
    text_shown: Any = None


def joined(builder: Builder, inputs: Mapping[str, Any], own: Any, image: tuple[str, ImageFeature]) -> Joined:
    """Both towers and what lies on top of them.

    Models with hidden layers: concatenation, then the shared layers ``joint``. Linear models and LSA: both embeddings
    of unit length side by side.

    Args:
      own: what the model makes of all other features, (batch, width); None if there are none.
    """
    name, feature = image
    settings = builder.settings
    deep = isinstance(settings, NeuralModelSettings)
    image_present = inputs[transformed(name, PRESENT)]
    tower = image_tower(name, feature, builder.next_seed())
    vector = tower(inputs[transformed(name, PIXELS)])
    loud = keras.layers.Rescaling(vector.shape[-1] ** 0.5 if deep else feature.scale, name=f"{name}_scale")
    if own is None:
        picture = _times(vector, image_present, EMBEDDING_IMAGE)
        shared = loud(picture)
        return Joined(UnitLength(True, name=EMBEDDING)(picture), shared, shared, picture)
    evidence = [other.evidence(key, inputs) for key, other in builder.features.items()]
    text_present = Present(name="text_present")(evidence)
    dropped = _DROPPED if settings.modality_dropout is None else settings.modality_dropout
    shown = ModalityDropout(dropped, builder.next_seed(), name=SHOWN)([text_present, image_present])
    text_shown, image_shown = shown[:, 0:1], shown[:, 1:2]
    unit = UnitLength(name="text_unit")(own)
    visible = _times(loud(vector), image_shown, f"{name}_shown")
    if isinstance(settings, NeuralModelSettings):
        towers = keras.layers.Concatenate(name="towers")([_times(own, text_shown, "text_shown"), visible])
        shared = together = settings.joined(builder, towers)
    else:
        text = _times(unit, text_shown, "text_shown")
        shared = keras.layers.Concatenate(name="towers")([text, visible])
        # How loud the picture is for the heads says nothing about how alike two products look.
        together = keras.layers.Concatenate(name="both")([text, _times(vector, image_shown, f"{name}_unit_shown")])
    return Joined(
        UnitLength(True, name=EMBEDDING)(together), shared, visible,
        _times(vector, image_present, EMBEDDING_IMAGE), _times(unit, text_present, EMBEDDING_TEXT), text_shown,
    )  # fmt: skip


def _times(vectors: Any, factor: Any, name: str) -> Any:
    return keras.layers.Multiply(name=name)([vectors, factor])


@keras.saving.register_keras_serializable("shelfmark")
class Present(keras.layers.Layer):
    """float32 (batch, 1): 1 where any of the tensors, (batch,) or (batch, n), has a number of at least 1."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})

    def call(self, tensors: Sequence[Any]) -> Any:
        rows = [ops.cast(tensor >= 1, "float32") for tensor in tensors]
        # The sum over no column at all is 0; the maximum is not.
        counts = [row if len(row.shape) == 1 else ops.sum(row, axis=1) for row in rows]
        return ops.cast(sum(counts) > 0, "float32")[:, None]

    def compute_output_shape(self, shapes: Any) -> Any:
        return (shapes[0][0], 1)


@keras.saving.register_keras_serializable("shelfmark")
class ModalityDropout(keras.layers.Layer):
    """Which towers each product shows: all that are present; in training a share of the products shows only one.

    A product's only tower always stays (ModDrop: Neverova et al. 2015, with whole towers of whole examples).

    Args:
      rate: share of the products, in training.

    Call with a list of (batch, 1): 1 where the product has the tower's input; returns float32 (batch, towers).
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32", "autocast": False})
        self.rate, self.seed = rate, seed
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, present: Any, training: bool = False) -> Any:
        present = ops.concatenate([ops.cast(evidence, "float32") for evidence in present], axis=1)
        if not training or not self.rate:
            return present
        batch, towers = ops.shape(present)[0], present.shape[1]
        order = present * (keras.random.uniform((batch, towers), seed=self.draws) + 1e-3)
        only = ops.one_hot(ops.argmax(order, axis=1), towers) * present
        alone = keras.random.uniform((batch, 1), seed=self.draws) < self.rate
        return ops.where(alone, only, present)

    def compute_output_shape(self, shapes: Any) -> Any:
        return (shapes[0][0], len(shapes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
