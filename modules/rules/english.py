"""Just enough English to read category names: singular, plural, words that say nothing."""

from __future__ import annotations

from modules.rules.text import words


def _set(words_: str) -> frozenset[str]:
    return frozenset(words_.split())


_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "knives": "knife",
    "wives": "wife",
    "lives": "life",
    "shelves": "shelf",
    "scarves": "scarf",
    "halves": "half",
    "wolves": "wolf",
    "leaves": "leaf",
    "loaves": "loaf",
    "calves": "calf",
    "thieves": "thief",
    "potatoes": "potato",
    "tomatoes": "tomato",
    "lenses": "lens",
}
_IRREGULAR_PLURALS = {singular: plural for plural, singular in _IRREGULAR.items()}
# The s is part of the word, or the word without it means something else ("short sleeve", "drinking glass").
_NO_SINGULAR = _set(
    "shorts glasses goods clothes briefs boxers arts news series species lens gas bus plus canvas atlas bias chess "
    "christmas iris tennis yes this always address mattress harness dress fitness business wireless jeans trousers "
    "blues physics mathematics electronics cosmetics athletics sports"
)
# -es after these is the plural's; after any other letter only the s is ("shoes").
_SIBILANTS = ("ss", "sh", "ch", "x", "zz")
# Whom a product is for says nothing about what it is.
PEOPLE = _set(
    "adult adults babies baby boy boys child children female gents girl girls infant infants junior juniors kid kids "
    "ladies lady male man men newborn teen teens toddler toddlers unisex woman women youth"
)
# In a category's name these do not say what the products are.
STOPWORDS = _set("a an and by for from in of on or other others the to with s etc misc miscellaneous")
GENERIC = _set(
    "accessory accessories all collection essential essentials equipment extra extras general item items more new "
    "part parts product products range sale set sets supply supplies thing things type types various"
)


def singular(word: str) -> str:
    """The singular of an English plural in lower case; anything else as it is."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word in _NO_SINGULAR or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 5 else word[:-1]
    if word.endswith("es") and word[:-2].endswith(_SIBILANTS):
        return word[:-2]
    return word[:-1]


def plural(word: str) -> str:
    """The plural of an English noun in lower case; a plural as it is."""
    if word in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[word]
    if word in _IRREGULAR or (word in _NO_SINGULAR and word.endswith("s") and not word.endswith("ss")):
        return word
    if word.endswith("s") and singular(word) != word:
        return word
    if word.endswith((*_SIBILANTS, "s")):
        return word + "es"
    if word.endswith("y") and len(word) > 2 and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def forms(word: str) -> tuple[str, ...]:
    """The word, its singular and its plural, each once, the word first; only the word if it is no plain word."""
    if not word.isalpha() or len(word) < 3:
        return (word,)
    singular_form = singular(word)
    # "women" gives "womens" as well: titles leave the apostrophe out.
    possessive = (word + "s",) if word in PEOPLE and word in _IRREGULAR else ()
    return tuple(dict.fromkeys((word, singular_form, plural(singular_form), *possessive)))


def content_words(name: str) -> tuple[str, ...]:
    """The words of a name, folded, without those that say nothing; "Women's" is "women", "Kids'" is "kids"."""
    name = name.replace("’", "'")
    return tuple(word for word in words(name) if word not in STOPWORDS)
