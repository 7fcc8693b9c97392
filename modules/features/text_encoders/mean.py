"""The mean of word vectors."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from modules.features.text_encoders.base import FIRST_WORD, Text, TextEncoderSettings


class MeanEncoder(TextEncoderSettings):
    """The mean of the vectors of the text's first words that are in the vocabulary."""

    kind: Literal["mean"] = "mean"

    reads: ClassVar[frozenset[str]] = frozenset({"sequence"})

    def encoded(self, text: Text) -> Any:
        from modules.graph_ops.layers import EmbeddingBag
        from modules.graph_ops.word_sequences import MeanWeights

        words = text.tokens - FIRST_WORD
        weights = MeanWeights(name=f"{text.name}_mean")(words, words * 0 + 1)
        return EmbeddingBag.of(text.vocabulary, text.layer, text.context)(words, weights)
