"""The mapping from an old taxonomy to a new one: a file that people edit, and what follows from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from modules.errors import InputError, Problem, reason, visible
from modules.taxonomy.category import Category, default_id
from modules.taxonomy.changes import Comparison
from modules.taxonomy.documents import Complaints, Node, read_document
from modules.taxonomy.model import Taxonomy, UnknownCategory

OPEN = "?"
_HEAD = """\
# What became of each category that changed: old -> new. Unchanged categories are not listed.
#   new: [A > B]          its products are now in this category (renamed, moved or merged)
#   new: [A > B, A > C]   it was split: people are asked about its labelled products
#   new: []               it was dropped, and so are its labels
#   new: "?"              open: write one of the above
changes:
"""


def write_mapping(comparison: Comparison, path: Path) -> None:
    """Writes a line for each changed category of the old tree, with its state and reason as a comment.

    Raises:
      InputError: the file cannot be written; one that was there is as it was.
    """
    lines = [_HEAD]
    for change in comparison.changes:
        if change.old is None:
            continue
        new: object = OPEN if change.state == "open" else [category.text for category in change.new]
        row = f"{{old: {_quoted(change.old.text)}, new: {_quoted(new)}}}"
        lines.append(f"- {row}  # {change.state}: {change.kind}, {visible(change.why)}\n")
    if len(lines) == 1:
        lines.append("  []\n")
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text("".join(lines), "utf-8")
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise InputError(Problem(str(path), f"cannot be written: {reason(error)}")) from None


def _quoted(value: object) -> str:
    """JSON, which is YAML as well where no character is one that YAML folds or refuses."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


@dataclass(frozen=True)
class Moves:
    """Where the products of each old category are now.

    Attributes:
      targets: every old category's id to the ids of ``new`` that its products are in now, none if it was dropped.
    """

    old: Taxonomy
    new: Taxonomy
    targets: Mapping[str, tuple[str, ...]]

    @cached_property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """Every new category's id to the ids of the old categories whose products it got."""
        sources: dict[str, tuple[str, ...]] = {category.id: () for category in self.new}
        for old, targets in self.targets.items():
            for target in targets:
                sources[target] = (*sources[target], old)
        return sources

    def unchanged(self, category: str) -> bool:
        """Whether an id means the same in the new tree; one that only the new tree has does."""
        if category not in self.targets:
            return category in self.new
        return self.targets[category] == (category,) and self.sources[category] == (category,)

    def of(self, category: str) -> tuple[str, ...]:
        """Where the products of an id are now; that of neither tree is nowhere."""
        return self.targets.get(category, (category,) if category in self.new else ())

    def to_json(self) -> str:
        """Everything, as one line of JSON."""
        rows = {"old": self.old.to_json(), "new": self.new.to_json(), "targets": self.targets}
        return json.dumps(rows, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Moves:
        """The inverse of :meth:`to_json`."""
        rows = json.loads(text)
        targets = {old: tuple(new) for old, new in rows["targets"].items()}
        return cls(Taxonomy.from_json(rows["old"]), Taxonomy.from_json(rows["new"]), targets)


def read_mapping(path: Path | None, comparison: Comparison, old: Taxonomy, new: Taxonomy) -> Moves:
    """What the file declares of the changed categories; every other one keeps its place.

    Without a file all changes have to be certain.

    A category that only changed its name, place or id keeps its old id in the new tree, unless the new file gives it
    another one, so that all that is known by the id goes on.

    Raises:
      InputError: everything that is wrong with the file, and every change that it leaves open.
    """
    complaints = Complaints("--mapping" if path is None else str(path))
    declared = {} if path is None else _declared(read_document(path), old, new, complaints)
    targets: dict[str, tuple[str, ...]] = {}
    changed = {change.old.id: change for change in comparison.changes if change.old is not None}
    matched = {change.old.id: change.new for change in comparison.changes if change.old is not None}
    for category in old:
        if category.id in declared:
            targets[category.id] = declared[category.id]
        elif category.id not in changed:
            targets[category.id] = (comparison.same[category.id],)
        elif changed[category.id].state == "certain":
            targets[category.id] = tuple(target.id for target in matched[category.id])
        else:
            hint = f"add a line: - {{old: {_quoted(category.text)}, new: [...]}}"
            complaints.add("the mapping says nothing of this category", value=category.text, hint=hint)
    complaints.raise_if_any()
    return _carried(old, new, targets)


def _declared(root: Node, old: Taxonomy, new: Taxonomy, complaints: Complaints) -> dict[str, tuple[str, ...]]:
    rows = root.items
    if root.entries is not None:
        complaints.unknown_keys(root, ("changes",))
        listed = root.entries.get("changes")
        rows = None if listed is None else [] if listed.is_null else listed.items
    if rows is None:
        complaints.stop("expected a list under 'changes:'; shelfmark taxonomy diff writes one")
    declared: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row.entries is None or not {"old", "new"} <= row.entries.keys():
            complaints.add("expected '{old: CATEGORY, new: [CATEGORY, ...]}'", row.line, "changes", row.show())
            continue
        complaints.unknown_keys(row, ("old", "new"), "changes")
        source, target = row.entries["old"], row.entries["new"]
        before = _find(source, old, complaints, "old")
        if target.text == OPEN:
            hint = "write its new categories as a list, or [] to drop it and its labels"
            complaints.add("this change is open", row.line, "new", source.show(), hint)
            declared |= {} if before is None else {before.id: ()}
            continue
        nodes = [target] if target.items is None and not target.is_null else target.items
        if nodes is None:
            complaints.add("expected a list of categories, [] for none", row.line, "new", target.show())
            continue
        after = [_find(node, new, complaints, "new") for node in nodes]
        if before is not None and before.id in declared:
            complaints.add("given twice", row.line, "old", before.text)
        elif before is not None:
            declared[before.id] = tuple(dict.fromkeys(category.id for category in after if category is not None))
    return declared


def _find(node: Node, taxonomy: Taxonomy, complaints: Complaints, key: str) -> Category | None:
    text = node.as_text()
    if not text:
        complaints.add("expected a category's path or id", node.line, key, node.show())
        return None
    try:
        return taxonomy.find(text, suggest=complaints.suggesting)
    except UnknownCategory as error:
        which = "the old" if key == "old" else "the new"
        complaints.add(f"not in {which} taxonomy", node.line, key, text, error.problems[0].hint)
        return None


def _carried(old: Taxonomy, new: Taxonomy, targets: Mapping[str, tuple[str, ...]]) -> Moves:
    """The new tree with the ids of old categories that did nothing but change their name or place."""
    plain = Moves(old, new, targets)
    ids: dict[str, str] = {}
    for category in new:
        sources = plain.sources[category.id]
        if category.id != default_id(category.path):
            ids[category.id] = category.id
        elif len(sources) == 1 and len(targets[sources[0]]) == 1:
            ids[category.id] = sources[0]
    taken = set(ids.values())
    for category in new:
        if category.id in ids:
            continue
        # What has gone elsewhere took the id along that the path alone would give; an old id is never given again.
        free, number = category.id, 2
        while free in taken or (free in old and free not in plain.sources[category.id]):
            free, number = f"{category.id}-{number}", number + 1
        ids[category.id] = free
        taken.add(free)
    renamed = Taxonomy(replace(c, id=ids[c.id], parent=None if c.parent is None else ids[c.parent]) for c in new)
    return Moves(old, renamed, {source: tuple(ids[target] for target in its) for source, its in targets.items()})
