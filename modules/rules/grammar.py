"""Which forms of a word the names of categories call for: English ones, or those of a language that is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modules.rules import english
from modules.rules.text import words


def _set(listed: str) -> frozenset[str]:
    return frozenset(words(listed))


_ENGLISH = _set("and for of with other others men women kids boys girls") | english.GENERIC | english.PEOPLE
"""Words that English names have, and hardly any others."""
_FOREIGN = _set(
    "und für mit von der die das damen herren kinder zubehör et de du des pour avec les la le femme homme enfants y "
    "para con el los las hombre mujer niños e da com homens mulheres per di il gli uomo donna bambini en van voor het "
    "dames heren och för med til og z dla na az és"
)
"""The same of languages that shops are written in."""
_PLURAL_SHARE = 0.25
"""Of English names at least so many end in a plural."""
_FEW = 4


@dataclass(frozen=True)
class Grammar:
    """How a language changes its words.

    Attributes:
      singular: a word in lower case to what all its forms have in common.
      forms: a word to the forms that a title may have of it.
    """

    singular: Callable[[str], str]
    forms: Callable[[str], tuple[str, ...]]


ENGLISH = Grammar(english.singular, english.forms)
UNKNOWN = Grammar(lambda word: word, lambda word: (word,))
"""No word is changed."""


def grammar_of(names: Iterable[str]) -> Grammar:
    """English, or unknown where little words, letters and endings of the names speak against it."""
    english_words = foreign_words = plurals = count = 0
    for name in names:
        parts = words(name)
        if not parts:
            continue
        count += 1
        english_words += any(part in _ENGLISH for part in parts)
        foreign_words += any(part in _FOREIGN for part in parts) or not name.isascii()
        plurals += any(english.singular(part) != part for part in parts)
    if english_words or foreign_words:
        return ENGLISH if english_words >= foreign_words else UNKNOWN
    return ENGLISH if count < _FEW or plurals >= _PLURAL_SHARE * count else UNKNOWN
