"""What became of each category between two versions of a taxonomy: what is certain, what is a guess, what is open."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modules.taxonomy.category import Category, default_id
from modules.taxonomy.merging import folded
from modules.taxonomy.model import Taxonomy

ALIKE = 80.0
"""Per cent: names at least so much alike may be two spellings of the same."""
CHILDREN = 0.5
"""Share of the children's names that two categories must have in common to be taken for the same."""
MOST = 2000
"""So many names are compared with each other at most, since the work grows with the square."""

Kind = Literal["renamed", "moved", "merged", "split", "new id", "not exclusive", "gone", "added"]
State = Literal["certain", "guess", "open"]


@dataclass(frozen=True)
class Change:
    """What became of one category.

    Attributes:
      old: None for one that was added.
      new: where its products are now; several of a split one, none where nobody knows (``open``) or it was added.
      why: what the decision stands on, for people.
    """

    old: Category | None
    new: tuple[Category, ...]
    kind: Kind
    state: State
    why: str


@dataclass(frozen=True)
class Comparison:
    """All changes, those of old categories in the old file's order, then what was added.

    Attributes:
      same: the ids of unchanged categories, the old one to the new one.
    """

    changes: tuple[Change, ...]
    same: Mapping[str, str]

    def count(self, state: State) -> int:
        """Changes of old categories in this state."""
        return sum(change.state == state for change in self.changes if change.old is not None)


def compare(old: Taxonomy, new: Taxonomy) -> Comparison:
    """Matches categories by id, then by path, then by guesses: parent, children, names, merges and splits.

    Time grows linearly with the categories, but for names that are alike, of which few are compared.
    """
    matcher = _Matcher(old, new)
    matcher.match()
    return matcher.comparison()


class _Matcher:
    def __init__(self, old: Taxonomy, new: Taxonomy):
        self._old, self._new = old, new
        self._to: dict[str, Category] = {}
        self._why: dict[str, tuple[State, str]] = {}
        self._taken: set[str] = set()

    def match(self) -> None:
        for category in self._old:
            # An id that a path alone gives says no more than the path, which may be another category's by now.
            if category.id in self._new:
                same = self._new[category.id]
                if same.path == category.path or same.id != default_id(same.path):
                    self._pair(category, same, "certain", "same id")
        self._by_key(lambda c: c.path, "certain", "same path")
        self._by_key(lambda c: folded(c.path), "certain", "same path but for case and blanks")
        self._below()
        for step in (self._children, self._elsewhere, self._parents, self._synonyms, self._near):
            step()
            self._below()

    def comparison(self) -> Comparison:
        """The pairs, and guesses at what the rest became."""
        several = self._merges_and_splits()
        changes: list[Change] = []
        same: dict[str, str] = {}
        for category in self._old:
            if category.id in several:
                changes.append(several[category.id])
            elif category.id not in self._to:
                changes.append(Change(category, (), "gone", "open", "nothing like it"))
            elif (kind := self._kind(category, self._to[category.id])) is not None:
                changes.append(Change(category, (self._to[category.id],), kind, *self._why[category.id]))
            else:
                same[category.id] = self._to[category.id].id
        named = {target.id for change in changes for target in change.new} | self._taken
        added = (
            Change(None, (category,), "added", "certain", "") for category in self._new if category.id not in named
        )
        return Comparison((*changes, *added), same)

    @staticmethod
    def _kind(old: Category, new: Category) -> Kind | None:
        if old.path[-1] != new.path[-1]:
            return "renamed"
        if old.path != new.path:
            return "moved"
        if old.exclusive and not new.exclusive:
            return "not exclusive"
        # An id that the path gives was given by nobody; the old one stays.
        return "new id" if new.id not in (old.id, default_id(new.path)) else None

    def _pair(self, old: Category, new: Category, state: State, why: str) -> None:
        if old.id not in self._to and new.id not in self._taken:
            self._to[old.id], self._why[old.id] = new, (state, why)
            self._taken.add(new.id)

    def _left(self) -> tuple[list[Category], list[Category]]:
        return (
            [category for category in self._old if category.id not in self._to],
            [category for category in self._new if category.id not in self._taken],
        )

    def _by_key(self, key: Callable[[Category], object], state: State, why: str) -> None:
        """Pairs those that alone have a key on their side."""
        old, new = self._left()
        before, after = Counter(map(key, old)), Counter(map(key, new))
        by_key = {key(category): category for category in new}
        for category in old:
            its = key(category)
            if before[its] == after[its] == 1:
                self._pair(category, by_key[its], state, why)

    def _below(self) -> None:
        """Pairs what has the same name below a pair; a parent comes before its children."""
        free: dict[tuple[str, str], list[Category]] = defaultdict(list)
        for category in self._left()[1]:
            free[category.parent or "", _name(category)].append(category)
        for category in sorted(self._left()[0], key=lambda c: c.level):
            parent = self._to.get(category.parent or "")
            below = free.get((parent.id, _name(category)), []) if parent is not None else []
            if parent is not None and len(below) == 1:
                state, _ = self._why[category.parent or ""]
                self._pair(category, below[0], state, f"its parent became {parent.text!r}")

    def _children(self) -> None:
        """Pairs parents that share most of their children's names."""
        old, new = self._left()
        having: dict[str, list[Category]] = defaultdict(list)
        names_of = {c.id: {_name(child) for child in self._new.children(c)} for c in new}
        for category in new:
            for name in names_of[category.id]:
                having[name].append(category)
        for category in old:
            names = {_name(child) for child in self._old.children(category)}
            shared = Counter(c.id for name in names for c in having.get(name, ()) if c.id not in self._taken)
            share = {i: n / len(names | names_of[i]) for i, n in shared.items()}
            best = [i for i in share if share[i] == max(share.values())]
            if len(best) == 1 and shared[best[0]] > 1 and share[best[0]] >= CHILDREN:
                self._pair(category, self._new[best[0]], "guess", "most of its children are the same")

    def _elsewhere(self) -> None:
        self._by_key(lambda c: (_name(c), bool(self._of(c).children(c))), "guess", "the only one of this name")

    def _of(self, category: Category) -> Taxonomy:
        own = category.id in self._old and self._old[category.id] is category
        return self._old if own else self._new

    def _parents(self) -> None:
        """Pairs a category with the one that most of its children are below now; the deepest first."""
        for category in sorted(self._left()[0], key=lambda c: -c.level):
            children = self._old.children(category)
            parents = Counter(self._to[c.id].parent or "" for c in children if c.id in self._to)
            parent, number = parents.most_common(1)[0] if parents else ("", 0)
            if parent and number > 1 and number >= CHILDREN * len(children):
                self._pair(category, self._new[parent], "guess", "most of its children are there")

    def _synonyms(self) -> None:
        """Pairs a name with the only new category that has it as a synonym, and the other way round."""
        old, new = self._left()
        for ours, theirs, swapped in ((old, new, False), (new, old, True)):
            by_synonym: dict[tuple[str, ...], list[Category]] = defaultdict(list)
            for category in theirs:
                for synonym in category.synonyms:
                    by_synonym[folded([synonym])].append(category)
            for category in ours:
                matches = by_synonym.get(folded([category.path[-1]]), [])
                if len(matches) == 1:
                    pair = (matches[0], category) if swapped else (category, matches[0])
                    self._pair(*pair, "guess", "its name is a synonym")

    def _near(self) -> None:
        """Pairs siblings whose names are each other's nearest."""
        from rapidfuzz import fuzz, process

        old, new = self._left()
        siblings: dict[str, tuple[list[Category], list[Category]]] = defaultdict(lambda: ([], []))
        for category in old:
            parent = self._to.get(category.parent or "")
            if parent is not None or category.parent is None:
                siblings[parent.id if parent is not None else ""][0].append(category)
        for category in new:
            siblings[category.parent or ""][1].append(category)
        for ours, theirs in siblings.values():
            if not ours or not theirs or len(ours) * len(theirs) > MOST * MOST:
                continue
            names = [category.path[-1] for category in ours], [category.path[-1] for category in theirs]
            scores = process.cdist(*names, scorer=fuzz.ratio, processor=str.casefold)
            for row, category in enumerate(ours):
                column = int(scores[row].argmax())
                if scores[row, column] >= ALIKE and int(scores[:, column].argmax()) == row:
                    self._pair(category, theirs[column], "guess", f"its name is {scores[row, column]:.0f}% alike")

    def _merges_and_splits(self) -> dict[str, Change]:
        """Of categories without a pair: those whose name is part of a neighbour's, or made of several neighbours'."""
        gone, added = self._left()
        neighbours: dict[str, list[Category]] = defaultdict(list)
        for category in self._new:
            neighbours[category.parent or ""].append(category)
        added_ids = {category.id for category in added}
        by_word: dict[str, list[Category]] = defaultdict(list)
        for category in added:
            for word in _words(category):
                by_word[word].append(category)
        changes: dict[str, Change] = {}
        for category in gone:
            parent = self._to.get(category.parent or "")
            words = _words(category)
            if parent is None and category.parent is not None:
                # Its neighbours are gone, too, so that any new category may have taken its products.
                near = min((by_word.get(word, []) for word in words), key=len, default=[])
            else:
                near = neighbours[parent.id if parent is not None else ""]
            # Of "Boots" and "Work boots" either may be the other's part, so that the added ones decide.
            parts = [c for c in near if c.id in added_ids and _words(c) & words]
            holders = [c for c in near if words and words < _words(c)]
            called = [c for c in near if folded([category.path[-1]]) in {folded([name]) for name in c.synonyms}]
            if len(parts) > 1:
                changes[category.id] = Change(category, tuple(parts), "split", "guess", "its words are in their names")
            elif len(called) == 1:
                why = "its name is a synonym of that one"
                changes[category.id] = Change(category, (called[0],), "merged", "guess", why)
            elif len(holders) == 1:
                changes[category.id] = Change(category, (holders[0],), "merged", "guess", "its words are in that name")
        return changes


def _name(category: Category) -> str:
    return folded(category.path[-1:])[0]


_WORD = re.compile(r"\w+")
_SMALL = frozenset(("and", "or", "of", "for", "the", "und", "oder", "für", "et", "ou", "de"))


def _words(category: Category) -> set[str]:
    """The name's words without those that join others, and without the endings of most plurals."""
    words: Iterable[str] = _WORD.findall(category.path[-1].casefold())
    return {word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words if word not in _SMALL}


def summary(comparison: Comparison) -> Sequence[tuple[str, int]]:
    """How many changes there are of each kind, the most frequent first."""
    return Counter(change.kind for change in comparison.changes).most_common()
