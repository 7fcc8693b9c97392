"""Where in a text the words stand that :func:`modules.graph_ops.text.words` makes of it; without TensorFlow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# The scripts that `words` cuts into single characters. Their punctuation is no letter, and so no word, in any case.
_UNSPACED = re.compile(
    "[\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9\U00020000-\U0003134a"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff6f\uff71-\uff9d"
    "\u0e01-\u0e3a\u0e40-\u0e5b\u0e81-\u0edf\u1780-\u17f9\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f]"
)


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each word, in the text's order."""
    start: int | None = None
    for place, character in enumerate(f"{text} "):
        is_part = unicodedata.category(character)[0] in "LMN"
        is_alone = is_part and _UNSPACED.match(character) is not None
        if start is not None and (is_alone or not is_part):
            yield start, place
            start = None
        if is_alone:
            yield place, place + 1
        elif is_part and start is None:
            start = place
