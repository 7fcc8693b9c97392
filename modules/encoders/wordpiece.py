"""BERT's tokenizer as operations of the graph: strings in, ids of word pieces out.

It gives what Hugging Face's ``BertNormalizer``, ``BertPreTokenizer`` and ``WordPiece`` give. tensorflow-text's own
normaliser differs from them (it makes "ss" of "ß", and a space of a zero-width character), so that the text is
normalised here, and tensorflow-text only splits words and looks up pieces. A special piece that a text spells, such as
"[SEP]", is text here: a feed must not be able to end its own text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from modules.encoders.folder import EncoderSettings

MAX_BYTES = 65_536
"""Bytes of a text that are looked at; a text's first tokens lie in them unless nearly all of it is blank."""

_SPACES = r"[\t\n\r\p{Z}]+"
_DROPPED = r"[\x{FFFD}\p{Cc}\p{Cf}\p{Co}]+"
_PUNCTUATION = r"!-/:-@\[-`{-~\p{P}"
_CHINESE = (
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}"
    r"\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
)


class WordPieces:
    """Texts to ids of word pieces.

    Args:
      vocabulary: pieces; their index is their id.
      settings: of the encoder.
    """

    def __init__(self, vocabulary: Sequence[str], settings: EncoderSettings):
        import tensorflow_text

        self._settings = settings
        ids = {piece: number for number, piece in enumerate(vocabulary)}
        _, start, end, padding = (ids[piece] for piece in settings.special_tokens())
        self.padding = padding
        self._unknown = _unknown_word(ids)
        self._lookup = tensorflow_text.FastBertTokenizer(
            vocab=list(vocabulary),
            # Characters are counted here, in words that are too long; none has more than four bytes.
            max_bytes_per_word=4 * settings.max_word_characters,
            token_out_type=tf.int32,
            unknown_token=settings.unknown_token,
        )
        prefix = self._pieces(tf.constant([settings.prefix])).to_list()[0] if settings.prefix else []
        self._before = tf.constant([start, *prefix], tf.int32)
        self._after = tf.constant([end], tf.int32)
        self._room = max(settings.max_tokens - 2 - len(prefix), 0)

    def __call__(self, texts: Any) -> Any:
        """Ids of texts.

        Args:
          texts: string (n,); what is not UTF-8 in it is left out.

        Returns:
          int32 ragged (n, pieces): start, prefix, the text's pieces as far as ``max_tokens`` allow, end; nothing for
          a text without any piece.
        """
        pieces = self._pieces(texts)[:, : self._room]
        count = tf.cast(pieces.row_lengths() > 0, tf.int64)
        before, after = self._around(self._before, count), self._around(self._after, count)
        return tf.concat([before, pieces, after], axis=1)

    def _around(self, ids: Any, count: Any) -> Any:
        """``ids`` in each row whose ``count`` is 1, nothing in the others."""
        return tf.RaggedTensor.from_row_lengths(tf.tile(ids, [tf.reduce_sum(count)]), count * tf.size(ids, tf.int64))

    def _pieces(self, texts: Any) -> Any:
        return self._lookup.tokenize(self.normalised(texts))

    def normalised(self, texts: Any) -> Any:
        """Texts as the pieces are looked up in them: words apart, cased and stripped as the settings say."""
        import tensorflow_text

        settings, replace = self._settings, tf.strings.regex_replace
        texts = tf.strings.substr(texts, 0, MAX_BYTES)
        texts = tf.strings.unicode_transcode(
            texts, "UTF-8", "UTF-8", errors="replace", replace_control_characters=False
        )
        texts = replace(replace(texts, _SPACES, " "), _DROPPED, "")
        if settings.strip_accents:
            texts = replace(tensorflow_text.normalize_utf8(texts, "NFD"), r"\p{Mn}+", "")
        if settings.lower_case:
            # Whether a sigma ends its word is not looked at by the tokenizer that the encoders were trained with.
            texts = tf.strings.lower(replace(texts, "\u03a3", "\u03c3"), encoding="utf-8")
        texts = replace(texts, f"([{_PUNCTUATION}{_CHINESE}])", r" \1 ")
        return replace(texts, f"[^ ]{{{settings.max_word_characters + 1},}}", self._unknown)


def _unknown_word(ids: dict[str, int]) -> str:
    """A character that stays itself and is in no vocabulary: the word that stands for the unknown piece."""
    runes = (chr(code) for code in range(0x16A0, 0x16EA))
    return next((rune for rune in runes if rune not in ids), "\U000e0fff")
