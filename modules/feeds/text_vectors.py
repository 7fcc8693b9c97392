"""What pretrained encoders make of products' texts, before anything is learnt from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from modules.arrays import Float32Array
from modules.encoders.passing import encode_texts
from modules.examples import encoding
from modules.feeds.files import resolve
from modules.feeds.mapping import Product
from modules.progress import report
from modules.settings.encodings import Encoding, EncodingSettings

BATCH = 1024
"""Products that are worth encoding at a time, where they come one by one."""


class TextVectors:
    """Encodes products for the features that want it; loads an encoder when the first text that no cache has comes.

    Args:
      encodings: feature to what it wants encoded.
      folder: what encoders' folders are relative to.
      settings: of the cache of texts that were encoded before; None, or without a folder: there is no cache.

    Attributes:
      seconds: that encoding has taken so far.
    """

    def __init__(
        self,
        encodings: Mapping[str, Encoding],
        folder: str = "",
        settings: EncodingSettings | None = None,
    ):
        self._encodings = {name: (resolve(folder, own.encoder), own.columns) for name, own in encodings.items()}
        self._settings = settings or EncodingSettings()
        self._done = 0
        self.seconds = 0.0

    def of(self, products: Sequence[Product]) -> list[dict[str, Float32Array]]:
        """For each product its columns of the example (:func:`modules.examples.encoding`); none where the texts that a
        feature reads are blank.

        Raises:
          InputError: an encoder is missing or broken.
        """
        started = time.monotonic()
        vectors: list[dict[str, Float32Array]] = [{} for _ in products]
        texts_of: dict[tuple[str, ...], list[str]] = {}
        for name, (folder, columns) in self._encodings.items():
            if columns not in texts_of:
                texts_of[columns] = _texts(products, columns)
            texts = texts_of[columns]
            rows = [row for row, text in enumerate(texts) if text]
            encoded = encode_texts(
                folder,
                [texts[row] for row in rows],
                cache=self._settings.cache,
                max_cache_bytes=self._settings.max_cache_bytes,
                # What comes batch by batch is counted by products below.
                report=_texts_done if len(products) > BATCH else None,
            )
            for row, vector in zip(rows, encoded, strict=True):
                # An encoder may know no token of a text.
                if vector.any():
                    vectors[row][encoding(name)] = vector
        if self._encodings:
            self._done += len(products)
            report(self._done, 0, "products encoded")
        self.seconds += time.monotonic() - started
        return vectors


def _texts_done(done: int, total: int) -> None:
    report(done, total, "texts encoded")


def _texts(products: Sequence[Product], columns: Sequence[str]) -> list[str]:
    """The text that stands for each product, joined as the exported model joins it."""
    # A feed of which nothing is encoded needs no TensorFlow, whose import takes seconds.
    import tensorflow as tf

    from modules.graph_ops.text import joined_texts

    parts = [tf.constant([product.text.get(column, "") for product in products], tf.string) for column in columns]
    return [text.decode() for text in joined_texts(parts).numpy().tolist()]
