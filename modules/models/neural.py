"""What deep and wide & deep models share: hidden layers on top of the features' encodings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from modules.errors import Problem
from modules.features import image_feature
from modules.models.base import GradientModelSettings, Probability, Widths
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from modules.models.build import Builder
    from modules.settings.workflow import Workflow


class NeuralModelSettings(GradientModelSettings):
    """A kind with hidden layers, the last one of which is the embedding."""

    text_input: Literal["embedding_bag", "histogram"] = "embedding_bag"
    """How text enters the deep part: ``embedding_bag``: as what each feature's ``encoder`` makes of word vectors, by
    default their weighted sum; ``histogram``: the words' weights through a dense layer of ``hidden[0]`` units (the same
    sum, but not bottlenecked by each feature's ``width``)."""
    hidden: Widths = (256,)
    """Widths of the shared layers; the last one is the embedding."""
    activation: Literal["relu", "gelu", "tanh", "selu", "elu"] = "relu"
    """The function behind each hidden layer."""
    dropout: Probability = 0.2
    """Share of a hidden layer's outputs that training leaves out at random, against overfitting."""
    normalization: Literal["none", "batch", "layer"] = "none"
    """What brings a hidden layer's outputs to one scale: ``batch`` over the batch, ``layer`` over the layer."""
    joint: Widths = (256,)
    """With an image feature: widths of the layers on top of both towers' embeddings; the last one is the joint
    embedding. Linear models and ``lsa``, which have none, take both embeddings side by side."""

    @property
    def reads_word_vectors(self) -> bool:
        return not self._reads_histogram

    @property
    def reads_weights(self) -> bool:
        return self._reads_histogram

    @property
    def _reads_histogram(self) -> bool:
        return self.text_input == "histogram" and bool(self.hidden)

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        default = type(self).model_fields["joint"].default
        if self.joint != default and image_feature(workflow.features) is None:
            expected = "an image feature, whose embedding these layers join with the others'"
            yield contradiction(f"{place}.joint", list(self.joint), expected)

    def own_embedding(self, builder: Builder, inputs: Mapping[str, Any]) -> Any:
        """The hidden layers; (batch, hidden[-1])."""
        from modules.graph_ops.layers import Bias

        if self._reads_histogram:
            summed = builder.summed(inputs, self.hidden[0], "hidden_0")
            values = self._finished(builder, Bias(name="hidden_0_bias")(summed), 0)
            rest = list(enumerate(self.hidden))[1:]
        else:
            values = builder.concatenated(inputs)
            rest = list(enumerate(self.hidden))
        for number, width in rest:
            values = self._finished(builder, builder.dense(values, width, f"hidden_{number}"), number)
        return values

    def _finished(self, builder: Builder, values: Any, number: int) -> Any:
        """Normalisation, activation and dropout of one hidden layer."""
        import keras

        name = f"hidden_{number}"
        if self.normalization == "batch":
            values = keras.layers.BatchNormalization(name=f"{name}_norm")(values)
        elif self.normalization == "layer":
            values = keras.layers.LayerNormalization(name=f"{name}_norm")(values)
        return self.activated(builder, values, name)

    def activated(self, builder: Builder, values: Any, name: str) -> Any:
        """Activation and dropout of the layer ``name``."""
        import keras

        values = keras.layers.Activation(self.activation, name=f"{name}_activation")(values)
        if self.dropout:
            values = keras.layers.Dropout(self.dropout, seed=builder.next_seed(), name=f"{name}_drop")(values)
        return values

    def joined(self, builder: Builder, towers: Any) -> Any:
        """The joint layers on the concatenated towers, (batch, width)."""
        for number, width in enumerate(self.joint):
            layer = f"joint_{number}"
            towers = self.activated(builder, builder.dense(towers, width, layer), layer)
        return towers

    def deep_logits(self, builder: Builder, shared: Any) -> dict[str, list[Any]]:
        """A head per objective on the last layer."""
        import keras

        return {
            name: [
                builder.head(name, f"{name}_deep", shared, keras.initializers.GlorotUniform(builder.next_seed()))
            ]
            for name in builder.objectives
        }  # fmt: skip
