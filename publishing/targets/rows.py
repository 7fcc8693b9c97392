"""A document as a row of a table: what is asked for most has a column of its own."""

from __future__ import annotations

from typing import Any

import orjson


def row_of(values: dict[str, Any]) -> dict[str, Any]:
    """``id``, ``version``, ``retailer``, the first objective's answer, and the whole document as JSON.

    Args:
      values: a document's; what the document of a product that is gone does not say is None.
    """
    first: dict[str, Any] = next(iter(values.get("objectives", {}).values()), {})
    return {
        "id": values["id"], "version": values["version"], "retailer": values.get("retailer"),
        **{name: first.get(name) for name in ("category_id", "category", "probability")},
        "document": orjson.dumps(values).decode(),
    }  # fmt: skip
