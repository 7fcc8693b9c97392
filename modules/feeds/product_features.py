"""What an example says of the product itself."""

from __future__ import annotations

import struct

from modules import examples
from modules.feeds.encoding import ByName, TextHeaders, bytes_entry, float_entry, float_header
from modules.feeds.mapping import Product
from modules.images.outcome import Picture

_FLOAT = struct.Struct("<f")


class ProductFeatures:
    """The features of examples that describe products; keeps what many products share, so make it once.

    Attributes:
      headers: of features with one text.
    """

    def __init__(self) -> None:
        self.headers = ByName(TextHeaders)
        self._float_headers = ByName(float_header)

    def entries(self, product: Product, picture: Picture | None) -> list[bytes]:
        """The serialised features of a product; without ``picture`` there is none for an image."""
        data = product.id.encode()
        entries = [self.headers[examples.ID][len(data)], data]
        for name, text in product.text.items():
            data = text.encode()
            entries += self.headers[name][len(data)], data
        for name, number in product.numbers.items():
            entries += self._float_headers[name], _FLOAT.pack(number)
        entries += [float_entry(name, vector) for name, vector in product.vectors.items()]
        if picture is not None:
            entries.append(bytes_entry(examples.IMAGE_BYTES, [picture.data]))
        return entries
