"""First rules from the taxonomy's names alone.

A name is split into its parts ("Bags & Wallets": bags, wallets; "Camping & Hiking Boots": camping boots, hiking
boots), and a title that has all words of a part, in any order, singular or plural, is put into the category. Where a
part stands in several branches, a word that sets the branch apart must be in the title as well ("women" of "Women's
Clothing > Shorts"); without one, the product goes to what the branches share. A rule stands back where the title has
a longer part of another branch ("case" for "phone case").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from modules.rules.english import GENERIC, PEOPLE, content_words
from modules.rules.grammar import Grammar, grammar_of
from modules.rules.model import All, AnyOf, Condition, Leaf, Not, Rule
from modules.taxonomy import Category, Taxonomy

_PARTS = re.compile(r"\s*(?:&|/|,|;|\+|\band\b|\bor\b)\s*", re.IGNORECASE)
_MAX_EXCEPTIONS = 40

# The singulars of a part's words: what titles and parts are compared by.
_Stem = frozenset[str]
# Words of which all, of several of which any must be in a title; and several such demands, of which all.
_Alternatives = tuple[tuple[str, ...], ...]
_Qualifiers = tuple[_Alternatives, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    category: Category
    words: tuple[str, ...]
    stem: _Stem


def suggest_rules(taxonomy: Taxonomy, *, field: str = "title") -> list[Rule]:
    """Rules over ``field`` for every category whose name says what is in it, in taxonomy order.

    Looks at nothing but the taxonomy: no product and no label. Words of names that are not English are used as they
    are, since an English plural of another language's word is some other word, or none.
    """
    grammar = grammar_of(category.path[-1] for category in taxonomy)
    parts = [part for category in taxonomy for part in _parts(category, grammar)]
    by_stem: dict[_Stem, list[_Part]] = {}
    for part in parts:
        by_stem.setdefault(part.stem, []).append(part)
    longer = _longer(by_stem)
    rules: list[Rule] = []
    used: set[str] = set()
    for stem, same in by_stem.items():
        for category, qualifiers in _places(taxonomy, [part.category for part in same], stem, grammar):
            below = {c.index for c in taxonomy.descendants(category)} | {category.index}
            others = [
                other for other in longer.get(stem, ()) if any(p.category.index not in below for p in by_stem[other])
            ]
            conditions = _has_words(field, same[0].words, grammar)
            conditions += [_any_words(field, words_, grammar) for words_ in qualifiers]
            for other in others[:_MAX_EXCEPTIONS]:
                extra = tuple(word for word in by_stem[other][0].words if grammar.singular(word) not in stem)
                conditions.append(Not(_all(_has_words(field, extra, grammar))))
            if "shirt" in stem and "t" not in stem:
                # Written in two words, "t-shirt" looks like a shirt.
                conditions.append(Not(Leaf(field, "phrase", ("t shirt", "t shirts"))))
            rule_id = f"name-{category.id}-{'-'.join(same[0].words)}"
            if rule_id in used:
                rule_id = next(name for n in count(2) if (name := f"{rule_id}-{n}") not in used)
            used.add(rule_id)
            rules.append(Rule(rule_id, category.id, _all(conditions)))
    order = {category.id: category.index for category in taxonomy}
    return sorted(rules, key=lambda rule: order[rule.category])


def _parts(category: Category, grammar: Grammar) -> Iterable[_Part]:
    """The parts of a category's name that say something, each once."""
    seen: set[_Stem] = set()
    for words_ in _split_name(category.path[-1], grammar):
        stem = frozenset(grammar.singular(word) for word in words_)
        # "Accessories" alone says whose only by its parents; "For Girls" says no more.
        if stem in seen or all(len(w) < 2 or w.isdecimal() or w in GENERIC or w in PEOPLE for w in words_):
            continue
        seen.add(stem)
        yield _Part(category, words_, stem)


def _split_name(name: str, grammar: Grammar) -> list[tuple[str, ...]]:
    """The words of each part of a name. One that is no plural shares the noun of a longer part behind it."""
    parts = [part for text in _PARTS.split(name) if (part := tuple(dict.fromkeys(content_words(text))))]
    result: list[tuple[str, ...]] = []
    for place, part in enumerate(parts):
        noun = next((later[-1] for later in parts[place + 1 :] if len(later) > 1), None)
        if len(part) == 1 and noun is not None and noun not in part and grammar.singular(part[0]) == part[0]:
            result.append((*part, noun))
        else:
            result.append(part)
    return result


def _longer(by_stem: dict[_Stem, list[_Part]]) -> dict[_Stem, list[_Stem]]:
    """For each part the parts that have all its words and more, shortest first."""
    by_word: dict[str, list[_Stem]] = {}
    for stem in by_stem:
        for word in stem:
            by_word.setdefault(word, []).append(stem)
    result = {}
    for stem in by_stem:
        rarest = min((by_word[word] for word in stem), key=len)
        supersets = [other for other in rarest if stem < other]
        if supersets:
            result[stem] = sorted(supersets, key=lambda other: (len(other), sorted(other)))
    return result


def _places(
    taxonomy: Taxonomy, holders: Sequence[Category], stem: _Stem, grammar: Grammar
) -> Iterable[tuple[Category, _Qualifiers]]:
    """Where to put the products of a part that stands in ``holders``, and what else a title must have for it."""
    # Of a category and one below it that share a part, the name says only the upper one.
    paths = {category.path for category in holders}
    tops = [c for c in holders if not any(c.path[:depth] in paths for depth in range(1, c.level))]
    queue: list[tuple[list[Category], _Qualifiers]] = [(tops, ())]
    while queue:
        group, qualifiers = queue.pop()
        depth = 0
        while all(c.level > depth and c.path[depth] == group[0].path[depth] for c in group) and (
            len(group) > 1 or depth < group[0].level
        ):
            depth += 1
        if depth:
            yield taxonomy.find(group[0].path[:depth]), qualifiers
        branches: dict[str, list[Category]] = {}
        for category in group if len(group) > 1 else ():
            branches.setdefault(category.path[depth], []).append(category)
        for name, branch in branches.items():
            siblings = _stems((other for other in branches if other != name), grammar)
            telling = _telling(name, siblings | stem, grammar)
            if telling:
                outside = {c.path[d] for c in tops if c not in branch for d in range(c.level)}
                enough = _telling(name, _stems(outside, grammar) | stem, grammar) == telling
                queue.append((branch, (telling,) if enough else (*qualifiers, telling)))


def _stems(names: Iterable[str], grammar: Grammar) -> _Stem:
    return frozenset(grammar.singular(word) for name in names for word in content_words(name))


def _telling(name: str, known: _Stem, grammar: Grammar) -> _Alternatives:
    """Of each part of ``name`` the words that are not ``known``: one of these sets apart what the name stands for."""
    word_tuples = (
        tuple(w for w in words_ if grammar.singular(w) not in known and w not in GENERIC)
        for words_ in _split_name(name, grammar)
    )
    return tuple(dict.fromkeys(words_ for words_ in word_tuples if words_))


def _any_words(field: str, alternatives: _Alternatives, grammar: Grammar) -> Condition:
    conditions = tuple(_all(_has_words(field, words_, grammar)) for words_ in alternatives)
    return conditions[0] if len(conditions) == 1 else AnyOf(conditions)


def _has_words(field: str, words_: Sequence[str], grammar: Grammar) -> list[Condition]:
    """All of the words in any order; a single letter only right before the next word ("t-shirt") or joined to it."""
    result: list[Condition] = []
    letter = ""
    for word in words_:
        if len(word) == 1 and word.isalpha():
            letter = word
            continue
        if letter:
            apart = tuple(f"{letter} {form}" for form in grammar.forms(word))
            result.append(Leaf(field, "phrase", (*apart, *(letter + form for form in grammar.forms(word)))))
        else:
            result.append(Leaf(field, "word", grammar.forms(word)))
        letter = ""
    return result or [Leaf(field, "word", tuple(words_))]


def _all(conditions: Sequence[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else All(tuple(conditions))
