"""Ids of products as spreadsheets spell them."""

from __future__ import annotations


def other_spelling(product_id: str) -> str:
    """``42`` for ``42.0`` and the other way round, since a column of numbers with a gap becomes one of decimals on its
    way through a spreadsheet or a data frame; the id itself where it is no whole number."""
    whole, point, decimals = product_id.partition(".")
    if not (whole.isascii() and whole.isdigit()):
        return product_id
    if not point:
        return f"{whole}.0"
    return whole if decimals and not decimals.strip("0") else product_id
