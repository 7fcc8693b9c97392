"""Takes keys out of the text of a YAML document, and puts keys in: everything else stays as it was written.

Only the text that goes is touched, so that comments, order, quotes and line ends survive. What comes out is read again
and compared with what was meant, which also tells where an anchor that goes is still needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modules.errors import InputError
from pipeline.migrations.base import Addition, Change, Removal
from pipeline.yaml_tree import KeyPath, read_tree


@dataclass(slots=True)
class _Span:
    """A value in the text: where it starts and ends, in characters.

    Attributes:
      flow: a collection in brackets or braces.
      entries: key to the key's span and the value's, of a mapping; of a list by position, both the item's.
    """

    start: int
    end: int
    flow: bool = False
    entries: dict[str | int, tuple[_Span, _Span]] = field(default_factory=dict)
    is_list: bool = False


def edited(text: str, data: Any, changes: Sequence[Change]) -> str | None:
    """The text with all changes made.

    Args:
      data: what ``text`` is read as.

    Returns:
      The text, or None where it cannot be edited so that it says what is meant and nothing else.
    """
    if not changes:
        return text
    root = _spans(text)
    removed = {change.path for change in changes if isinstance(change, Removal)}
    cuts = list(_cuts(text, root, (), removed))
    for change in changes:
        if isinstance(change, Addition):
            cuts.append(_added(text, root, change))
    for start, end, new in reversed(_merged(cuts)):
        text = text[:start] + new + text[end:]
    try:
        tree = read_tree(text, "")
    except InputError:
        return None
    # Texts, because no number is NaN, and because 1, 1.0 and true are equal.
    return text if not tree.problems and repr(tree.data) == repr(_meant(data, changes)) else None


def _meant(data: Any, changes: Sequence[Change], path: KeyPath = ()) -> Any:
    """The data with all changes made."""
    removed = {change.path for change in changes if isinstance(change, Removal)}
    if isinstance(data, dict):
        added = {c.path[-1]: c.value for c in changes if isinstance(c, Addition) and c.path[:-1] == path}
        kept = {key: value for key, value in data.items() if (*path, key) not in removed}
        return added | {key: _meant(value, changes, (*path, key)) for key, value in kept.items()}
    if isinstance(data, tuple):
        kept_items = [(number, item) for number, item in enumerate(data) if (*path, number) not in removed]
        return tuple(_meant(item, changes, (*path, number)) for number, item in kept_items)
    return data


def _spans(text: str) -> _Span:
    """Where all values of the one document in ``text`` stand; an alias stands where it is written."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    root = _Span(0, 0)
    # The open collections, each with the key whose value comes next.
    stack: list[tuple[_Span, list[tuple[Any, _Span]]]] = []
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionEndEvent):
            span, _ = stack.pop()
            if span.flow:
                span.end = _index(event.end_mark)
            elif span.entries:
                # The parser ends it where the next token starts, below all comments.
                span.end = next(reversed(span.entries.values()))[1].end
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        span = _Span(_index(event.start_mark), _index(event.end_mark))
        if isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
            span.end = len(text[: span.end].rstrip())
        if not stack:
            root = span
        else:
            parent, pending = stack[-1]
            if parent.is_list:
                parent.entries[len(parent.entries)] = (span, span)
            elif pending:
                key, at = pending.pop()
                parent.entries[key] = (at, span)
            else:
                pending.append((getattr(event, "value", None), span))
        if isinstance(event, yaml.CollectionStartEvent):
            span.flow, span.is_list = bool(event.flow_style), isinstance(event, yaml.SequenceStartEvent)
            stack.append((span, []))
    return root


def _index(mark: Any) -> int:
    """The character of the text that a mark of the parser stands at."""
    return int(mark.index)


Cut = tuple[int, int, str]
"""Start, end, and what comes there instead."""


def _cuts(text: str, span: _Span, path: KeyPath, removed: set[KeyPath]) -> Iterator[Cut]:
    """What has to go so that the ``removed`` paths are no more."""
    gone = [(*path, key) in removed for key in span.entries]
    if gone and all(gone):
        # Without its last entry, a block would be null.
        before = len(text[: span.start].rstrip(" \r\n"))
        start = before if text[before - 1 : before] == ":" else span.start
        empty = "[]" if span.is_list else "{}"
        yield start, span.end, f" {empty}" if start == before else empty
        return
    pairs = list(span.entries.items())
    for number, (key, (at, value)) in enumerate(pairs):
        if not gone[number]:
            yield from _cuts(text, value, (*path, key), removed)
        elif lines := _whole_lines(text, _dash(text, at.start) if span.is_list and not span.flow else at.start, value):
            yield *lines, ""
        elif all(gone[number:]):
            yield pairs[number - 1][1][1].end, value.end, ""
        else:
            yield at.start, pairs[number + 1][1][0].start, ""


def _merged(cuts: Sequence[Cut]) -> list[Cut]:
    """The cuts in order, those that overlap as one: an entry on lines of its own may follow one within a line."""
    merged: list[Cut] = []
    for start, end, new in sorted(cuts):
        if merged and start < merged[-1][1]:
            before = merged.pop()
            merged.append((before[0], max(before[1], end), before[2] + new))
        else:
            merged.append((start, end, new))
    return merged


def _dash(text: str, start: int) -> int:
    """Where the dash of a block's item stands."""
    return text.rfind("-", 0, start)


def _whole_lines(text: str, start: int, value: _Span) -> tuple[int, int] | None:
    """The lines of an entry from ``start`` to the end of its value, if nothing else but a comment is on them."""
    first = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    rest = re.compile(r"[ \t]*,?[ \t]*(?:(?<=\s)#[^\r\n]*)?(?:\r\n|\r|\n|\Z)").match(text, max(start, value.end))
    return None if text[first:start].strip(" \t") or rest is None else (first, rest.end())


def _added(text: str, root: _Span, addition: Addition) -> Cut:
    """The new key before the first one of its mapping."""
    span = root
    for part in addition.path[:-1]:
        span = span.entries[part][1]
    entry = f"{addition.path[-1]}: {addition.value}"
    first = next(iter(span.entries.values()))[0].start
    line = max(text.rfind("\n", 0, first), text.rfind("\r", 0, first)) + 1
    new_line = "\r\n" if "\r\n" in text else "\n"
    return first, first, entry + (", " if span.flow else new_line + " " * (first - line))


def with_values(text: str, values: Mapping[KeyPath, Any]) -> str:
    """The text with other values at some paths, written as JSON; comments inside a collection go with it.

    The caller reads the result again and compares it with what was meant.
    """
    root = _spans(text)
    cuts = []
    for path, value in values.items():
        span = root
        for part in path:
            span = span.entries[part][1]
        written = json.dumps(value, ensure_ascii=False)
        # YAML folds or refuses some characters that JSON takes.
        cuts.append((span.start, span.end, written if written.isprintable() else json.dumps(value)))
    for start, end, new in sorted(cuts, reverse=True):
        text = text[:start] + new + text[end:]
    return text
