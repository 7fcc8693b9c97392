"""Labels that stand under other ids than their products have by now."""

from __future__ import annotations

from collections.abc import Callable

from modules.labels.model import LabelLog


def carry_over(log: LabelLog, product_id: Callable[[str], str]) -> LabelLog:
    """Renames the products of ``log`` in place; rows whose products get the same id are of one product from then on.

    Args:
      product_id: the product's id, of a label's.

    Returns:
      The log.
    """
    codes: dict[str, int] = {}
    renamed = [codes.setdefault(product_id(text), len(codes)) for text in log.products]
    for row, code in enumerate(log.product_column):
        log.product_column[row] = renamed[code]
    log.products = list(codes)
    return log
