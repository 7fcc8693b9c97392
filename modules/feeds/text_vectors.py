"""What pretrained encoders make of products' texts, before anything is learnt from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from modules.arrays import Float32Array
from modules.encoders.passing import encode_texts
from modules.examples import encoding
from modules.feeds.files import resolve
from modules.feeds.mapping import Product
from modules.graph_ops.text import joined_texts
from modules.settings.encodings import Encoding

BATCH = 1024
"""Products that are worth encoding at a time, where they come one by one."""


class TextVectors:
    """Encodes products for the features that want it; loads an encoder when the first text that no cache has comes.

    Args:
      encodings: feature to what it wants encoded.
      folder: what encoders' folders are relative to.
      cache: the folder with the vectors of texts that were encoded before; None: there is none.
      max_bytes: of the cache.
      report: called with the texts that are done, those in all, and what they are.
    """

    def __init__(
        self,
        encodings: Mapping[str, Encoding],
        folder: str = "",
        cache: str | None = None,
        max_bytes: int | None = None,
        report: Callable[[int, int, str], None] | None = None,
    ):
        self._encodings = {name: (resolve(folder, own.encoder), own.columns) for name, own in encodings.items()}
        self._cache, self._max_bytes, self._report = cache, max_bytes, report

    def of(self, products: Sequence[Product]) -> list[dict[str, Float32Array]]:
        """For each product its columns of the example (:func:`modules.examples.encoding`); none where the texts that a
        feature reads are blank.

        Raises:
          InputError: an encoder is missing or broken.
        """
        vectors: list[dict[str, Float32Array]] = [{} for _ in products]
        texts_of: dict[tuple[str, ...], list[str]] = {}
        for name, (folder, columns) in self._encodings.items():
            if columns not in texts_of:
                texts_of[columns] = _texts(products, columns)
            texts = texts_of[columns]
            rows = [row for row, text in enumerate(texts) if text]
            # Shops repeat texts, and so do the variants of an article.
            distinct = list(dict.fromkeys(texts[row] for row in rows))
            place = {text: number for number, text in enumerate(distinct)}
            if not distinct:
                continue
            encoded = encode_texts(folder, distinct, cache=self._cache, report=self._report)
            for row in rows:
                vector = encoded[place[texts[row]]]
                # An encoder may know no token of a text.
                if vector.any():
                    vectors[row][encoding(name)] = vector
        return vectors


def _texts(products: Sequence[Product], columns: Sequence[str]) -> list[str]:
    """The text that stands for each product, joined as the exported model joins it."""
    parts = [tf.constant([product.text.get(column, "") for product in products], tf.string) for column in columns]
    return [text.decode() for text in joined_texts(parts).numpy().tolist()]
