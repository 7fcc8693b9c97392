"""The weighted sum of word and n-gram vectors."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from modules.features.text_encoders.base import Text, TextEncoderSettings


class BagEncoder(TextEncoderSettings):
    """The sum of the vectors of all words and n-grams, each times its weight."""

    kind: Literal["bag"] = "bag"

    reads: ClassVar[frozenset[str]] = frozenset({"word_ngrams", "characters", "weights", "sublinear", "scale"})

    def encoded(self, text: Text) -> Any:
        from modules.graph_ops.layers import EmbeddingBag

        return EmbeddingBag.of(text.size, text.layer, text.context)(text.ids, text.weights)
