"""The features of an example that a product itself gives: no label, no picture, nothing of a rule."""

from __future__ import annotations

import struct

from modules.examples import ID
from modules.feeds.encoding import ByName, TextHeaders, float_entry, float_header
from modules.feeds.mapping import Product

_FLOAT = struct.Struct("<f")


class ProductEntries:
    """Encodes products, and keeps the headers of their features."""

    def __init__(self) -> None:
        self._headers = ByName(TextHeaders)
        self._float_headers = ByName(float_header)

    def entries(self, product: Product) -> list[bytes]:
        """Parts of an example (:func:`modules.feeds.encoding.example_of`)."""
        data = product.id.encode()
        entries = [self._headers[ID][len(data)], data]
        for name, text in product.text.items():
            data = text.encode()
            entries += self._headers[name][len(data)], data
        for name, number in product.numbers.items():
            entries += self._float_headers[name], _FLOAT.pack(number)
        entries += [float_entry(name, vector) for name, vector in product.vectors.items()]
        return entries
