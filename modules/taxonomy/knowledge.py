"""What a taxonomy file says of a category beside its path: a description and synonyms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from modules.category_text import unseen
from modules.taxonomy.category import tidy
from modules.taxonomy.documents import Complaints, Node

MAX_NAME = 200
"""Characters of a name, and so of a synonym."""
MAX_DESCRIPTION = 1000
"""Characters; the longest definitions of GS1's classification have some hundreds."""
MAX_SYNONYMS = 50
MARK = "|"
"""Stands between synonyms in one text; within a list it is a character as any other."""


def read_description(entries: Mapping[str, Node], complaints: Complaints) -> str:
    """The description, tidied; empty if there is none, or if it was complained of."""
    node = entries.get("description")
    if node is None:
        return ""
    if node.text is None:
        complaints.add("expected text", node.line, "description", node.show())
        return ""
    text = tidy(node.text)
    if len(text) > MAX_DESCRIPTION:
        expected = f"expected at most {MAX_DESCRIPTION:,} characters, not {len(text):,}"
        complaints.add(expected, node.line, "description", f"{text[:60]}...", "shorten it to what tells its products")
        return ""
    return text if all_seen((text,), node, complaints, "description") else ""


def shortened(description: str) -> str:
    """A tidy text of somebody else's as a description: cut behind a word where it is too long."""
    if len(description) <= MAX_DESCRIPTION:
        return description
    whole = description[: MAX_DESCRIPTION + 1].rpartition(" ")[0]
    return whole or description[:MAX_DESCRIPTION]


def read_synonyms(entries: Mapping[str, Node], complaints: Complaints) -> tuple[str, ...]:
    """The synonyms of a list, or of a text with "|" between them: tidied, each once, blank ones left out; none if any
    was complained of."""
    node = entries.get("synonyms")
    if node is None:
        return ()
    written: Sequence[str | None] = (node.text or "").split(MARK)
    if node.items is not None:
        written = [item.as_text() for item in node.items]
    elif node.text is None:
        written = [None]
    names = tuple(dict.fromkeys(name for name in (tidy(text) for text in written if text is not None) if name))
    if None in written:
        expected = f"expected a list of names, or names with {MARK!r} between them"
        complaints.add(expected, node.line, "synonyms", node.show())
    elif len(names) > MAX_SYNONYMS:
        complaints.add(f"expected at most {MAX_SYNONYMS} synonyms, not {len(names):,}", node.line, "synonyms")
    elif longest := max((name for name in names if len(name) > MAX_NAME), key=len, default=""):
        expected = f"expected names of at most {MAX_NAME} characters, not {len(longest):,}"
        hint = f"put {MARK!r} between synonyms; 'description' takes whole sentences"
        complaints.add(expected, node.line, "synonyms", f"{longest[:60]}...", hint)
    elif all_seen(names, node, complaints, "synonyms"):
        return names
    return ()


def synonyms_text(synonyms: Sequence[str]) -> str:
    """The synonyms as one cell of a table, which :func:`read_synonyms` reads back."""
    text = MARK.join(synonyms)
    as_text = not text.startswith("[") and not any(MARK in synonym for synonym in synonyms)
    return text if as_text else json.dumps(list(synonyms), ensure_ascii=False)


def all_seen(names: Sequence[str], node: Node | None, complaints: Complaints, key: str) -> bool:
    """Whether the names, as they are written, hold nothing that does not show; blanks and line ends around them may."""
    for name in names:
        text = name.strip()
        if places := unseen(text):
            line, value = (node.line, node.show()) if node else (None, " > ".join(names))
            code = f"U+{ord(text[places[0]]):04X}"
            what = "text" if key == "description" else "names"
            expected = f"expected {what} without control characters or others that do not show"
            hint = f"take {code} out (character {places[0] + 1} of {text!r:.100})"
            complaints.add(expected, line, key, value, hint)
            return False
    return True
