"""Numbers, times and addresses as the pages show them."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import urlencode

from labelling.store import rows


def percent(value: float | None) -> str:
    """0.873 as 87.3%."""
    return "" if value is None or math.isnan(value) else f"{100 * value:.1f}%"


def figure(value: Any) -> str:
    """A number to three digits, anything else as it is."""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.3f}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) else str(value)


def whole(value: Any) -> str:
    """A count, whatever its type."""
    return f"{value:,.0f}" if isinstance(value, int | float) else ""


def moment(time: int | None) -> str:
    """A time for people, UTC."""
    return "" if not time else rows.time_text(time)[:16].replace("T", " ")


def query(values: dict[str, Any]) -> str:
    """A query string of what is there."""
    return urlencode({name: value for name, value in values.items() if value not in (None, "")})


def link(path: str, **values: Any) -> str:
    """A path with a query."""
    query_string = query(values)
    return f"{path}?{query_string}" if query_string else path
