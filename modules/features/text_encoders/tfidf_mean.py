"""The mean of word vectors, weighted by TF-IDF."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from modules.features.text_encoders.base import Text, TextEncoderSettings


class TfidfMeanEncoder(TextEncoderSettings):
    """The mean of the vectors of all words that are in the vocabulary, weighted by the feature's ``weights``."""

    kind: Literal["tfidf_mean"] = "tfidf_mean"

    reads: ClassVar[frozenset[str]] = frozenset({"sublinear"})

    def encoded(self, text: Text) -> Any:
        import keras

        from modules.graph_ops.layers import PADDING, EmbeddingBag
        from modules.graph_ops.word_sequences import MeanWeights

        words = keras.ops.where(text.ids < text.vocabulary, text.ids, PADDING)
        weights = MeanWeights(name=f"{text.name}_mean")(words, text.weights)
        return EmbeddingBag.of(text.vocabulary, text.layer, text.context)(words, weights)
