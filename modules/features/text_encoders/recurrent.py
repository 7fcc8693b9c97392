"""What the recurrent encoders share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from modules.features.text_encoders.base import Text, TextEncoderSettings
from modules.settings.base import Probability


class RecurrentEncoder(TextEncoderSettings):
    """A kind that reads word after word, and whose last state is the encoding."""

    units: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the state, and of the encoding."""
    bidirectional: bool = False
    """Reads the text from its end as well; the encoding holds the last states of both directions."""
    dropout: Probability = 0.2
    """Share of the encoding's numbers that training sets to zero."""

    reads: ClassVar[frozenset[str]] = frozenset({"sequence"})
    cell: ClassVar[str]
    """The name of the Keras layer."""

    def encoded(self, text: Text) -> Any:
        import keras

        from modules.graph_ops.word_sequences import WordVectors, dropped

        vectors = WordVectors.of(text.vocabulary, text.layer, text.context)(text.tokens)
        name = f"{text.name}_{self.kind}"
        layer = self._layer(text, name)
        if self.bidirectional:
            back = self._layer(text, f"{name}_back", go_backwards=True)
            layer = keras.layers.Bidirectional(layer, backward_layer=back, name=f"{name}_both")
        return dropped(layer(vectors, mask=text.tokens > 0), self.dropout, f"{name}_drop", text.context)

    def _layer(self, text: Text, name: str, **changes: Any) -> Any:
        import keras

        # cuDNN's own layer would be a part of the exported graph, which then no machine without a GPU could run.
        return getattr(keras.layers, self.cell)(
            self.units, name=name, use_cudnn=False,
            kernel_initializer=keras.initializers.GlorotUniform(text.context.next_seed()),
            recurrent_initializer=keras.initializers.Orthogonal(seed=text.context.next_seed()), **changes,
        )  # fmt: skip
