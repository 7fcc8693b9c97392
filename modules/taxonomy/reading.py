"""From a taxonomy file to a checked tree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.category_text import CategoryCells
from modules.taxonomy.category import SEPARATOR, Category, default_id, split_path, tidy
from modules.taxonomy.documents import MAX_DEPTH, Complaints, Node, did_you_mean, parse_document, read_bytes, table_cell
from modules.taxonomy.formats import Entry, Source, format_of, formats_shown
from modules.taxonomy.formats.base import OWN_KEYS
from modules.taxonomy.knowledge import MAX_NAME, all_seen, read_description, read_synonyms, shortened

CELLS = CategoryCells("\0")
"""Cleans names as those of a feed's cells are: then a feed's own text for a category means the same one."""
_OWN_SUFFIXES = frozenset((".yaml", ".yml", ".json", ".jsonl", ".csv"))


@dataclass(slots=True)
class _Entry:
    """A category as the file has it. ``path`` is None until the parent's is known."""

    line: int | None
    path: tuple[str, ...] | None
    id: str | None
    name: str | None
    exclusive: bool
    parent: str | None = None
    description: str = ""
    synonyms: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.id or (SEPARATOR.join(self.path) if self.path else self.name or "")


def read_categories(path: str | Path) -> list[Category]:
    """The checked categories of a taxonomy file, in its order: of this project's own form, or one of
    :data:`modules.taxonomy.formats.FORMATS`, whichever the content looks like.

    Raises:
      InputError: everything that is wrong with the file, at once.
    """
    complaints = Complaints(str(path))
    source = Source(str(path), Path(path).suffix.lower(), read_bytes(path, complaints))
    # What looks like nothing else is taken for YAML.
    format = format_of(source, 0.5 if source.suffix in _OWN_SUFFIXES else 0.0)
    if format is not None:
        return _build(_foreign(format.entries(source), complaints), complaints, complete=True)
    if source.is_binary:
        expected = "expected a taxonomy: YAML, JSON, JSON Lines or CSV with a path per category, or one of"
        complaints.stop(f"{expected}: {formats_shown()}")
    return _own(parse_document(source.data, source.suffix, complaints), complaints)


def _foreign(entries: Iterable[Entry], complaints: Complaints) -> list[_Entry]:
    """The categories of somebody else's file, with those above them that it leaves out.

    Its leaves are exclusive, unless the file says which categories are.
    """
    listed = [(CELLS.names(list(entry.path)), entry) for entry in entries]
    if not any(path for path, _ in listed):
        complaints.stop("expected at least one category")
    named = {path for path, _ in listed}
    parents = {path[:depth] for path in named for depth in range(1, min(len(path), MAX_DEPTH + 1))}
    given: set[tuple[tuple[str, ...], str | None]] = set()
    implied: set[tuple[str, ...]] = set()
    rows: list[_Entry] = []
    for path, entry in listed:
        place = Node(entry.line or 1, text=SEPARATOR.join(path)) if entry.line else None
        ids = (entry.id,) if entry.id is not None else ()
        if (path, entry.id) in given or not _names_are_fine(path, place, complaints):
            continue
        if ids and not _names_are_fine(ids, place, complaints, "id"):
            continue
        given.add((path, entry.id))
        for depth in range(1, len(path)):
            above = path[:depth]
            if above not in named and above not in implied:
                implied.add(above)
                rows.append(_Entry(entry.line, above, None, None, False))
        description = shortened(" ".join(CELLS.names([entry.description])))
        synonyms = read_synonyms({"synonyms": table_cell(entry.synonyms, entry.line or 1)}, complaints)
        exclusive = path not in parents if entry.exclusive is None else entry.exclusive
        rows.append(_Entry(entry.line, path, entry.id, None, exclusive, None, description, synonyms))
    return rows


def _own(root: Node, complaints: Complaints) -> list[Category]:
    """The categories of a file of this project's own form."""
    rows = root.items
    if root.entries is not None:
        complaints.unknown_keys(root, ("categories",))
        rows = root.entries["categories"].items if "categories" in root.entries else None
    if not rows:
        hint = (
            f"write yours, each as '- {{path: [Shoes, Boots], exclusive: true}}', or let taxonomy.file name a file of "
            f"another form: {formats_shown()} are read as they come"
        )
        complaints.add("expected a list of categories under 'categories:'", root.line, "categories", hint=hint)
    entries = [_read_entry(row, complaints) for row in rows or ()]
    # A row without a usable path may be what others hang under: then nobody is called an orphan.
    complete = all(entry or row.entries is None for entry, row in zip(entries, rows or (), strict=True))
    return _build([entry for entry in entries if entry], complaints, complete)


def assemble(rows: Iterable[Mapping[str, Any]]) -> list[Category]:
    """The categories of rows with a ``path`` (tuple of names) and optionally ``id``, ``name`` and ``exclusive``.

    Raises:
      InputError: as for a file.
    """
    complaints = Complaints("")
    entries = []
    for row in rows:
        if _names_are_fine(row["path"], None, complaints):
            entries.append(_Entry(None, row["path"], row.get("id"), row.get("name"), bool(row.get("exclusive"))))
    return _build(entries, complaints, complete=True)


def _read_entry(row: Node, complaints: Complaints) -> _Entry | None:
    if row.entries is None:
        complaints.add(
            "expected a category with a 'path'", row.line, "categories", row.show(), "write '- path: Shoes > Boots'"
        )
        return None
    complaints.unknown_keys(row, OWN_KEYS, "categories")
    entries = {key: node for key, node in row.entries.items() if not node.is_null}
    texts: dict[str, str] = {}
    for key in ("id", "name", "parent"):
        if key in entries:
            text = entries[key].text or ""
            if _names_are_fine((text,), entries[key], complaints, key):
                texts[key] = tidy(text)
    exclusive: bool | None = False
    if "exclusive" in entries:
        exclusive = entries["exclusive"].as_bool()
        if exclusive is None:
            complaints.add(
                "expected true or false", entries["exclusive"].line, "exclusive", entries["exclusive"].show()
            )
    path = None
    if "path" in entries:
        node = entries["path"]
        names = [item.as_text() or "" for item in node.items] if node.items is not None else node.text
        if names is None:
            complaints.add("expected text with ' > ' or a list of names", node.line, "path", node.show())
        else:
            written = (names,) if isinstance(names, str) else tuple(names)
            path = split_path(names)
            fine = _names_are_fine(path, node, complaints, "path") and all_seen(written, node, complaints, "path")
            path = path if fine else None
        if "parent" in entries:
            complaints.add("expected either 'path' or 'parent', not both", row.line, "parent", texts.get("parent"))
    elif "name" not in entries:
        complaints.add("expected a 'path', or a 'name' with a 'parent'", row.line, "categories")
    description, synonyms = read_description(entries, complaints), read_synonyms(entries, complaints)
    if path is None and ("path" in entries or "name" not in texts):
        return None
    return _Entry(
        row.line, path, texts.get("id"), texts.get("name"), bool(exclusive), texts.get("parent"), description, synonyms
    )


def _names_are_fine(names: tuple[str, ...], node: Node | None, complaints: Complaints, key: str = "path") -> bool:
    line, value = (node.line, node.show()) if node else (None, SEPARATOR.join(names))
    if not names or not all(name.strip() for name in names):
        complaints.add("expected a name that is not empty", line, key, value)
    elif len(names) > MAX_DEPTH:
        complaints.add(f"expected at most {MAX_DEPTH} levels, not {len(names)}", line, key, value)
    elif any(len(name) > MAX_NAME for name in names):
        complaints.add(f"expected names of at most {MAX_NAME} characters", line, key, value)
    else:
        return all_seen(names, node, complaints, key)
    return False


def _build(entries: list[_Entry], complaints: Complaints, complete: bool) -> list[Category]:
    """Resolves parents, checks that the whole is a forest of unique nodes, and raises all that is wrong."""
    by_id: dict[str, _Entry] = {}
    for entry in entries:
        if entry.id is not None and by_id.setdefault(entry.id, entry) is not entry:
            complaints.add("given twice", entry.line, "id", entry.id, f"first in line {by_id[entry.id].line}")
    _resolve_parents(entries, by_id, complaints, complete)

    by_path: dict[tuple[str, ...], _Entry] = {}
    by_text: dict[str, _Entry] = {}
    ids: dict[str, _Entry] = {}
    resolved = [entry for entry in entries if entry.path is not None]
    for entry in resolved:
        path = entry.path
        assert path is not None
        first = by_path.setdefault(path, entry)
        other = by_text.setdefault(SEPARATOR.join(path), entry)
        if first is not entry:
            complaints.add("given twice", entry.line, "path", SEPARATOR.join(path), f"first in line {first.line}")
        elif other is not entry:
            hint = f"the one in line {other.line} reads the same" if other.line else "rename one of them"
            complaints.add("two paths that read the same", entry.line, "path", SEPARATOR.join(path), hint)
        entry.id = entry.id or default_id(path)
        if ids.setdefault(entry.id, entry) is not entry and first is entry and entry.id not in by_id:
            complaints.add("two categories with one id", entry.line, "id", entry.id, "give one of them an id")
    if complete:
        for entry in resolved:
            above = (entry.path or ())[:-1]
            if above and above not in by_path:
                _complain_of_orphan(entry, SEPARATOR.join(above), by_text, complaints)
    for entry in resolved:
        clash = by_text.get(entry.id or "")
        if clash is not None and clash is not entry:
            complaints.add("expected an id that is not another category's path", entry.line, "id", entry.id)
    complaints.raise_if_any()
    categories = []
    for index, entry in enumerate(entries):
        path = entry.path or ()
        parent = by_path[path[:-1]].id if len(path) > 1 else None
        name = entry.name or path[-1]
        categories.append(
            Category(entry.id or "", path, name, entry.exclusive, parent, index, entry.description, entry.synonyms)
        )
    return categories


def _complain_of_orphan(entry: _Entry, parent: str, known: Collection[str], complaints: Complaints) -> None:
    hint = f"add '- path: {parent}'"
    if complaints.suggesting and (near := did_you_mean(parent, [text for text in known if text != _text(entry)])):
        hint += f", or {near}"
    complaints.add(f"its parent {parent!r} is not in the file", entry.line, "path", _text(entry), hint)


def _text(entry: _Entry) -> str:
    return SEPARATOR.join(entry.path or ())


def _resolve_parents(entries: list[_Entry], by_id: dict[str, _Entry], complaints: Complaints, complete: bool) -> None:
    """Gives the entries of the id/parent form their paths; complains of orphans and cycles."""
    known: dict[str, tuple[str, ...]] = {}

    def settle(entry: _Entry, path: tuple[str, ...]) -> None:
        entry.path = path
        for reference in (entry.id, default_id(path), SEPARATOR.join(path)):
            if reference:
                known.setdefault(reference, path)

    waiting: dict[str, list[_Entry]] = {}
    ready = []
    for entry in entries:
        if entry.path is not None:
            settle(entry, entry.path)
        elif entry.parent is None:
            settle(entry, (entry.name or "",))
        else:
            waiting.setdefault(entry.parent, []).append(entry)
    ready = [reference for reference in waiting if reference in known]
    while ready:
        reference = ready.pop()
        for entry in waiting.pop(reference, ()):
            path = (*known[reference], entry.name or "")
            if len(path) > MAX_DEPTH:
                complaints.add(f"expected at most {MAX_DEPTH} levels", entry.line, "parent", entry.parent)
                continue
            settle(entry, path)
            ready.extend(r for r in (entry.id, default_id(path), SEPARATOR.join(path)) if r and r in waiting)

    _complain_of_orphans(waiting, by_id, known, complaints, complete)


def _complain_of_orphans(
    waiting: Mapping[str, list[_Entry]],
    by_id: Mapping[str, _Entry],
    known: Mapping[str, tuple[str, ...]],
    complaints: Complaints,
    complete: bool,
) -> None:
    """Complains of entries whose path never became known: their parent does not exist, or they are above themselves."""
    seen: set[int] = set()
    for orphans in waiting.values():
        for entry in orphans:
            parent = by_id.get(entry.parent or "")
            if parent is None and not complete:
                continue
            if parent is None:
                hint = did_you_mean(entry.parent or "", known) if complaints.suggesting else ""
                complaints.add("no such category", entry.line, "parent", entry.parent, hint)
                continue
            chain = {id(entry): entry}
            while parent is not None and id(parent) not in chain and id(parent) not in seen:
                chain[id(parent)] = parent
                parent = by_id.get(parent.parent or "")
            if parent is not None and id(parent) in chain:
                cycle = list(chain.values())[list(chain).index(id(parent)) :]
                text = " > ".join(str(e) for e in reversed([*cycle[:MAX_DEPTH], cycle[0]]))
                complaints.add(f"a category cannot be above itself: {text}", parent.line, "parent", parent.parent)
            seen.update(chain)
