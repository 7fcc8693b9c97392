"""Hand-written files (YAML, JSON, JSON Lines, CSV) as trees whose every value knows its line.

The tree is built from the parser's events and not from its objects: lines survive, nothing recurses, aliases cannot
multiply, and ``No`` or ``501`` stays the text that somebody typed until a reader asks for something else.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from modules.counting import counted
from modules.errors import InputError, Problem, reason

MAX_BYTES = 64 << 20
MAX_DEPTH = 32
SUGGESTIONS = 20
"""So many problems of a file say what is near: each costs a look at all the choices."""

_JSON_SPACE = re.compile(r"[ \t\n\r]+")
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "yes", "on", "1"))
_FALSE = frozenset(("false", "no", "off", "0"))


@dataclass(slots=True)
class Node:
    """A value in a file: a scalar (``text``), a list (``items``) or a mapping (``entries``).

    A cell of a table may be two of them, text that looks like a list: its reader knows which one is meant.

    Attributes:
      line: 1-based line where the value starts.
      text: the scalar as written, None for lists and mappings.
      plain: the scalar stood without quotes (YAML) or was no string (JSON), so it may be null or a boolean.
    """

    line: int
    text: str | None = None
    plain: bool = False
    items: list[Node] | None = None
    entries: dict[str, Node] | None = None

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULL

    def as_text(self) -> str | None:
        """The scalar as text; None for null, a list or a mapping."""
        return None if self.is_null else self.text

    def as_bool(self) -> bool | None:
        """The scalar as a boolean; None if it is none."""
        folded = (self.text or "").casefold()
        return True if folded in _TRUE else False if folded in _FALSE else None

    def show(self) -> str:
        """The value for a message."""
        if self.text is not None:
            return self.text
        return "a list" if self.items is not None else "a mapping"


@dataclass(slots=True)
class Complaints:
    """Collects what is wrong with one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def add(
        self, expected: str, line: int | None = None, key: str = "", value: str | None = None, hint: str = ""
    ) -> None:
        self.problems.append(Problem(self.file, expected, line, key, value, hint))

    @property
    def suggesting(self) -> bool:
        """Whether the next problem may still look for what is near: a file of mistakes is told in linear time."""
        return len(self.problems) < SUGGESTIONS

    def unknown_keys(self, node: Node, known: Collection[str], key: str = "") -> None:
        """Complains of every key of the mapping ``node`` that is not ``known``."""
        for name, value in (node.entries or {}).items():
            if name not in known:
                hint = did_you_mean(name, known) or f"known are {', '.join(sorted(known))}"
                self.add("unknown key", value.line, f"{key}.{name}" if key else name, hint=hint)

    def stop(self, expected: str, line: int | None = None, value: str | None = None, hint: str = "") -> NoReturn:
        """Raises all that was complained of, and this, after which nothing more can be read."""
        self.add(expected, line, value=value, hint=hint)
        self.raise_if_any()
        raise AssertionError("a complaint was added")

    def raise_if_any(self) -> None:
        if self.problems:
            raise InputError(sorted(self.problems, key=lambda problem: problem.line or 0))


def nearest(text: str, choices: Collection[str], cutoff: float = 60.0) -> str | None:
    """The choice most like ``text``, whatever its case; None if none is at least ``cutoff`` per cent alike."""
    from rapidfuzz import fuzz, process

    found = process.extractOne(text, list(choices), scorer=fuzz.ratio, processor=str.casefold, score_cutoff=cutoff)
    return None if found is None else found[0]


def did_you_mean(text: str, choices: Collection[str]) -> str:
    """``did you mean 'x'?`` for the nearest choice, or the empty string."""
    found = nearest(text, choices)
    return "" if found is None else f"did you mean {found!r}?"


def read_document(path: str | Path) -> Node:
    """The tree in a file; ``.json`` is read as JSON, ``.jsonl`` and ``.csv`` as a list of mappings, all else as YAML.

    Raises:
      InputError: the file cannot be read, decoded or parsed, is larger than 64 MiB or nested deeper than 32.
    """
    complaints = Complaints(str(path))
    return parse_document(read_bytes(path, complaints), Path(path).suffix.lower(), complaints)


def parse_document(data: bytes, suffix: str, complaints: Complaints) -> Node:
    """The tree in the content of a file whose name ends in ``suffix``; as :func:`read_document`."""
    text = _decoded(data, complaints)
    complaints.raise_if_any()
    try:
        if suffix == ".json":
            node = _parse_json(text, complaints)
        elif suffix == ".jsonl":
            node = Node(1, items=list(_parse_json_lines(text, complaints)))
        elif suffix == ".csv":
            node = Node(1, items=list(_parse_csv(text, complaints)))
        else:
            node = parse_yaml(text, complaints)
    except RecursionError:
        complaints.add(f"nested deeper than {MAX_DEPTH} levels")
    complaints.raise_if_any()
    return node


def read_bytes(path: str | Path, complaints: Complaints) -> bytes:
    """A file's content.

    Raises:
      InputError: the file cannot be read, or is larger than 64 MiB.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        complaints.stop(f"cannot be read: {reason(error)}")
    if len(data) > MAX_BYTES:
        complaints.stop(f"larger than {MAX_BYTES >> 20} MiB")
    return data


def line_of(data: bytes, position: int) -> int:
    """The 1-based line of a byte."""
    return data.count(b"\n", 0, position) + 1


def _decoded(data: bytes, complaints: Complaints) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        complaints.add("not UTF-8", line_of(data, error.start), value=repr(data[error.start : error.end]))
        return ""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read.

    Attributes:
      anchor: name by which aliases refer to the collection.
      before: number of values that had been read before it.
      key: text and line of a mapping's key whose value comes next; the text is None where the key is a collection.
      height: levels of nesting, this one included.
    """

    node: Node
    anchor: str | None
    before: int
    key: tuple[str | None, int] | None = None
    height: int = 1


class _YamlReader:
    """Builds the tree from the parser's events. Values behind an alias are counted again at each use."""

    def __init__(self, complaints: Complaints, alias_values: int):
        self.complaints, self.alias_values = complaints, alias_values
        self.root = Node(1, text="", plain=True)
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.values = self.documents = 0

    def read(self, event: Any) -> None:
        import yaml

        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.complaints.stop("expected one YAML document", line, hint="remove the '---'")
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self.stack.pop()
            if self.stack:
                self.stack[-1].height = max(self.stack[-1].height, closed.height + 1)
            self._anchor(closed.anchor, closed.node, self.values - closed.before, closed.height)
        elif isinstance(event, yaml.AliasEvent):
            self._put(self._aliased(event.anchor or "", line))
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, line)

    def _node(self, event: Any, line: int) -> None:
        import yaml

        if isinstance(event, yaml.ScalarEvent):
            node = Node(line, text=event.value, plain=bool(event.implicit[0]))
        else:
            node = Node(line, entries={}) if isinstance(event, yaml.MappingStartEvent) else Node(line, items=[])
        self._put(node)
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.complaints.add("YAML tags are not read", line, self._path(), value=event.tag)
        self.values += 1
        if node.text is not None:
            self._anchor(event.anchor, node, 1, 0)
            return
        self.stack.append(_Open(node, event.anchor, self.values - 1))
        self._check_depth(0, line)

    def _anchor(self, name: str | None, node: Node, values: int, height: int) -> None:
        if name is not None:
            self.anchors[name] = node, values, height

    def _check_depth(self, height: int, line: int) -> None:
        if len(self.stack) + height > MAX_DEPTH:
            self.complaints.stop(f"nested deeper than {MAX_DEPTH} levels", line)

    def _aliased(self, anchor: str, line: int) -> Node:
        """The node that an alias stands for. An anchor around the alias itself is not known yet."""
        if not self.alias_values:
            self.complaints.add("YAML aliases are not read", line, value=f"*{anchor}", hint="write the value out")
            return Node(line, text="", plain=True)
        if anchor not in self.anchors:
            self.complaints.stop("expected an alias of a value above it", line, value=f"*{anchor}")
        node, values, height = self.anchors[anchor]
        self._check_depth(height, line)
        self.values += values
        if self.values > self.alias_values:
            self.complaints.stop(f"expected at most {self.alias_values:,} values, with aliases written out", line)
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, height + 1)
        return replace(node, line=line)

    def _put(self, node: Node) -> None:
        """Adds ``node`` to the innermost open collection; in a mapping every other node is a key."""
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if parent.node.items is not None:
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = node.text, node.line
            if node.text is None:
                self.complaints.add("a key must be text", node.line, self._path(), node.show())
            elif node.text in (parent.node.entries or {}):
                first = parent.node.entries[node.text].line  # type: ignore[index]
                expected = f"given twice; it stands on line {first} already"
                self.complaints.add(expected, node.line, self._path())
        else:
            key, node.line = parent.key
            parent.key = None
            if key is not None:
                parent.node.entries.setdefault(key, node)  # type: ignore[union-attr]

    def _path(self) -> str:
        """Where the reader stands, for a message."""
        path: list[str | int] = []
        for parent in self.stack:
            if parent.node.items is not None:
                path.append(len(parent.node.items) - 1)
            elif parent.key is not None and parent.key[0] is not None:
                path.append(parent.key[0])
        return dotted(path)


def parse_yaml(text: str, complaints: Complaints, alias_values: int = 0) -> Node:
    """The one YAML document in ``text``.

    Args:
      complaints: takes what is wrong with single values: duplicate keys, tags, aliases where none are allowed.
      alias_values: how many values a document with aliases may have if all aliases are written out; 0: no aliases.

    Raises:
      InputError: the text is not one YAML document, is nested deeper than 32 levels, or has an alias of no value or of
        too many.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _YamlReader(complaints, alias_values)
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.read(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        complaints.stop(f"not YAML: {what}", mark.line + 1 if mark else None)
    except yaml.YAMLError as error:
        complaints.stop(f"not YAML: {reason(error)}")
    return reader.root


def dotted(path: Iterable[str | int]) -> str:
    """``("features", "title", "ngrams", 0)`` as ``features.title.ngrams[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _json_node(value: Any, line: int, depth: int = 0) -> Node:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return Node(line, text=value)
    if isinstance(value, list):
        return Node(line, items=[_json_node(item, line, depth + 1) for item in value])
    if isinstance(value, dict):
        return Node(line, entries={key: _json_node(item, line, depth + 1) for key, item in value.items()})
    return Node(line, text=json.dumps(value), plain=True)


def _parse_json(text: str, complaints: Complaints) -> Node:
    """JSON where every element of the outermost list (or of a list right under the outermost mapping) has its line."""
    try:
        # First the whole, so that a mistake is told with its own place.
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        complaints.add(f"not JSON: {error.msg}", error.lineno)
        return Node(1)
    except ValueError as error:
        complaints.add(f"not JSON: {reason(error)}")
        return Node(1)
    if isinstance(whole, list):
        return _JsonReader(text).elements()
    return _JsonReader(text).entries(complaints) if isinstance(whole, dict) else _json_node(whole, 1)


class _JsonReader:
    """Reads a text that is known to be JSON, and knows on which line it stands."""

    def __init__(self, text: str):
        self._text = text
        self._decoder = json.JSONDecoder()
        self._position = 0
        self._counted, self._line = 0, 1
        self._skip_space()

    def elements(self) -> Node:
        """The list that starts here."""
        items: list[Node] = []
        node = Node(self._line_here(), items=items)
        self._step()
        while self._text[self._position] != "]":
            line = self._line_here()
            items.append(_json_node(self._value(), line))
            self._skip_comma()
        self._step()
        return node

    def entries(self, complaints: Complaints) -> Node:
        """The mapping that starts here, with a complaint for each key that is given twice."""
        entries: dict[str, Node] = {}
        node = Node(self._line_here(), entries=entries)
        self._step()
        while self._text[self._position] != "}":
            line = self._line_here()
            key = self._value()
            self._skip_space()
            self._step()  # over the colon
            value = self.elements() if self._text[self._position] == "[" else _json_node(self._value(), line)
            if key in entries:
                complaints.add("given twice", line, key)
            entries[key] = value
            self._skip_comma()
        return node

    def _value(self) -> Any:
        value, self._position = self._decoder.raw_decode(self._text, self._position)
        return value

    def _skip_space(self) -> None:
        if space := _JSON_SPACE.match(self._text, self._position):
            self._position = space.end()

    def _skip_comma(self) -> None:
        self._skip_space()
        if self._text[self._position] == ",":
            self._step()

    def _step(self) -> None:
        """Over one character and the space behind it."""
        self._position += 1
        self._skip_space()

    def _line_here(self) -> int:
        # Positions only rise: nothing is counted twice.
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line


def _parse_json_lines(text: str, complaints: Complaints) -> Iterator[Node]:
    # Not splitlines(): it also splits at U+2028 and form feeds, which may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _json_node(json.loads(line), number)
        except ValueError as error:
            complaints.add(f"not JSON: {getattr(error, 'msg', None) or reason(error)}", number, value=line)


def _parse_csv(text: str, complaints: Complaints) -> Iterator[Node]:
    """Rows as mappings; an empty cell is a key that is not there, a JSON list of texts is text and a list."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    try:
        for row in reader:
            line = reader.line_num
            if not any(row):
                continue
            if not header:
                header = [name.strip() for name in row]
                if len(set(header)) < len(header):
                    complaints.add("a column is named twice", line, value=", ".join(header))
                continue
            if len(row) != len(header):
                complaints.add(f"expected {counted(len(header), 'column')} as in the header, not {len(row)}", line)
                continue
            yield Node(
                line, entries={key: table_cell(cell, line) for key, cell in zip(header, row, strict=True) if cell}
            )
    except csv.Error as error:
        complaints.add(f"not CSV: {error}", reader.line_num)


def table_cell(cell: str, line: int) -> Node:
    if cell.startswith("["):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return replace(_json_node(value, line), text=cell)
    return Node(line, text=cell)
