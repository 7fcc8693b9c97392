"""What a kind of text encoder answers. Each kind is a file of this folder, and a line of its package.

Keras is imported where a method needs it, since the settings are read without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from modules.features.base import LayerSettings, ModelContext
from modules.settings.base import Settings

UNKNOWN = 1
"""Token of a word that is not in the vocabulary; 0 pads."""
FIRST_WORD = 2
"""Token of the vocabulary's first word."""


@dataclass(frozen=True)
class Text:
    """A text feature's inputs of the model, and its table of word vectors.

    Attributes:
      name: the feature's.
      ids: int64 (batch, distinct ids), words below ``vocabulary`` and then n-grams; -1 pads.
      weights: float32, the weights of ``ids``.
      tokens: int64 (batch, words), in the text's order: 0 pads, then :data:`UNKNOWN`, and word i is
        i + :data:`FIRST_WORD`. None unless the encoder :attr:`~TextEncoderSettings.reads` ``sequence``.
      size: how many ids there are. vocabulary: how many of them are words.
      layer: of the table; its initializer fills a table of any number of rows.
    """

    name: str
    ids: Any
    weights: Any
    tokens: Any
    size: int
    vocabulary: int
    layer: LayerSettings
    context: ModelContext


class TextEncoderSettings(Settings):
    """One kind of encoder, and its hyperparameters."""

    kind: str
    """Each kind says its own, by which the workflow file names it."""

    reads: ClassVar[frozenset[str]] = frozenset()
    """Which of the text feature's settings in :data:`SOME_READ` it heeds."""

    def encoded(self, text: Text) -> Any:
        """The text as one vector, (batch, any width); zeros where it has no words."""
        raise NotImplementedError


WEIGHTS = ("word_ngrams", "characters", "weights", "sublinear", "scale")
"""Settings of a text feature for the weights of words and n-grams."""
SOME_READ = ("sequence", *WEIGHTS)
"""Settings of a text feature that not every encoder reads."""
