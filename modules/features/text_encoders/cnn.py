"""A convolutional network over word vectors (Kim 2014)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from modules.features.text_encoders.base import Text, TextEncoderSettings
from modules.settings.base import Probability


class CnnEncoder(TextEncoderSettings):
    """Filters over runs of words, several lengths in parallel; of each filter the largest value in the text."""

    kind: Literal["cnn"] = "cnn"
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=32)], ...], Field(min_length=1, max_length=8)] = (3, 4, 5)
    """How many successive words the filters see: a group of filters for each number."""
    filters: Annotated[int, Field(ge=1, le=4096)] = 100
    """How many filters there are of each width; the encoding has this many numbers times the number of widths."""
    dropout: Probability = 0.5
    """Share of the encoding's numbers that training sets to zero."""

    reads: ClassVar[frozenset[str]] = frozenset({"sequence"})

    def encoded(self, text: Text) -> Any:
        import keras

        from modules.graph_ops.word_sequences import MaxOverTime, WordVectors, dropped

        vectors = WordVectors.of(text.vocabulary, text.layer, text.context)(text.tokens)
        parts = []
        for number, width in enumerate(self.widths):
            name = f"{text.name}_cnn_{number}"
            # With width - 1 zeros at both ends a text of one word has windows, too.
            padded = keras.layers.ZeroPadding1D(width - 1, name=f"{name}_padded")(vectors)
            start = keras.initializers.GlorotUniform(text.context.next_seed())
            filtered = keras.layers.Conv1D(
                self.filters, width, activation="relu", kernel_initializer=start, name=name
            )(padded)  # fmt: skip
            parts.append(MaxOverTime(width, name=f"{name}_max")(filtered, text.tokens))
        values = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=f"{text.name}_cnn")(parts)
        return dropped(values, self.dropout, f"{text.name}_cnn_drop", text.context)
