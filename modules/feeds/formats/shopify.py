"""Shopify's product export: a row for each variant and picture, of which only a product's first one has its title."""

from __future__ import annotations

from collections.abc import Sequence

_HANDLE = "Handle"
_TITLE = "Title"
_OWN = ("Variant ", "Option", "Image ", "Cost per item", "Status", "Included / ", "Price / ", "Compare At Price / ")
"""How columns begin that a variant or a picture has for itself."""
_VARIANT = ("Variant SKU", "Variant Price", "Option1 Value")


PICTURE = "further_picture"
"""A row with nothing but another picture of the product above."""


class VariantRows:
    """Completes the rows of a product, which stand below each other."""

    def __init__(self, shared: Sequence[str], variant: Sequence[str]):
        self._shared = shared
        self._variant = variant
        self._first: dict[str, str] = {}

    @classmethod
    def of(cls, names: Sequence[str]) -> VariantRows | None:
        """For a header of that export; None for any other."""
        variant = [name for name in _VARIANT if name in names]
        if _HANDLE not in names or _TITLE not in names or not variant:
            return None
        return cls([name for name in names if not name.startswith(_OWN)], variant)

    def complete(self, row: dict[str, str]) -> bool:
        """Fills what is empty from the product's first row; False for a row with nothing but a further picture."""
        if row[_TITLE].strip() or row[_HANDLE] != self._first.get(_HANDLE):
            self._first = row
            return True
        if not any(row[name].strip() for name in self._variant):
            return False
        for name in (*self._shared, "Image Src"):
            if name in row and not row[name].strip():
                row[name] = self._first[name]
        return True
