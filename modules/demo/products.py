"""The demo's products: product ``i`` follows from the seed and ``i`` alone, whatever the size of the catalogue.

Random numbers come from a counter-based generator, one block of :data:`BLOCK` products at a time. A product either
starts a family or is a variant (another colour, size, or another retailer's offer) of the one before it: the family's
numbers say what the product is, its own numbers say what its record looks like.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import NamedTuple

from modules.demo.categories import CATEGORIES, EXCLUSIVE, Category, ancestors
from modules.demo.words import ADJECTIVES, BRANDS, COLORS, FILLERS, MODELS, RETAILERS, SIZES, WINDOWS, Retailer

BLOCK = 1024
COLUMNS = ("id", "title", "description", "brand", "price", "currency", "raw_category", "gender", "size", "color",
           "image", "retailer", "url", "availability")  # fmt: skip
TITLE, RETAILER_COLUMN = COLUMNS.index("title"), COLUMNS.index("retailer")

# The random numbers of a family, which say what the product is, and those of a product, which say what its record looks
# like: all at least 0 and below 1. A name more or less changes every product of every seed.
_Family = namedtuple(
    "_Family",
    "category retailer brand noun weak adjective model number price foreign gender word word2 word3 text misplaced "
    "coarse related title_gender filler",
)
_Own = namedtuple(
    "_Own",
    "new_family color size moved retailer typo where how brand swap description category gender has_color has_size "
    "price html mojibake image stock space no_price sale unused cents entity size_column window",
)
_FAMILY, _OWN = len(_Family._fields), len(_Own._fields)
_NEW_FAMILY = 0.72
_HARD = 0.13
_NO_IMAGE, _IMAGE_LOST, _IMAGE_BROKEN = 0.04, 0.05, 0.055  # Cumulated shares.


class Product(NamedTuple):
    """One product: its record and what only the generator knows.

    Attributes:
      record: one text per name in :data:`COLUMNS`; "" where missing.
      category: index of its true category in :data:`EXCLUSIVE`.
      retailer: index into :data:`RETAILERS`.
      hard: its title does not say what it is, or not precisely.
      color: index into :data:`COLORS`.
      image: "good", "lost" (named in the record, but there is no such file), "broken" (no readable image) or "" (none).
    """

    record: tuple[str, ...]
    category: int
    retailer: int
    hard: bool
    color: int
    image: str


def _capital(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split())


def _tables() -> tuple[list[int], list[int]]:
    """Category and retailer for a random number in [0, 1), as lookup tables of 4,096 cells."""
    result: list[list[int]] = []
    for weights in ([c.weight for c in EXCLUSIVE], [r.share for r in RETAILERS]):
        cells: list[int] = []
        total, summed = sum(weights), 0.0
        for index, weight in enumerate(weights):
            summed += weight
            cells += [index] * (round(summed / total * 4096) - len(cells))
        result.append(cells)
    return result[0], result[1]


_CATEGORY, _RETAILER = _tables()
_TOPS = sorted({category.names[0] for category in CATEGORIES})
# Ten brands per category, out of the 33 of its top level.
CATEGORY_BRANDS = tuple(
    tuple(BRANDS[_TOPS.index(category.names[0]) * 33 + (7 * k + 5 * index) % 33] for k in range(10))
    for index, category in enumerate(EXCLUSIVE)
)
_NOUNS = tuple(tuple(_capital(noun) for noun in category.nouns) for category in EXCLUSIVE)
_WEAK = tuple(_capital(category.weak) for category in EXCLUSIVE)
_ADJECTIVES = tuple(_capital(adjective) for adjective in ADJECTIVES)
# What other retailers' customers also bought; 12 neighbours in the tree, most of them of the same top level.
_RELATED = tuple(
    tuple(EXCLUSIVE[(index + step) % len(EXCLUSIVE)].nouns[0] for step in (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6))
    for index in range(len(EXCLUSIVE))
)
_TITLE_GENDERS = {"w": ("Women's", "Ladies'", "Women’s"), "m": ("Men's", "Mens", "Men’s"), "u": ("Unisex", "", "")}
_GENDER_INDEX = {"w": 0, "m": 1, "u": 2, "": 2}

# brand, model, adjective, noun, word, color, size, gender -> title. Colour and size make variants' titles differ.
Title = Callable[[str, str, str, str, str, str, str, str], str]
TITLES: dict[str, Title] = {
    "brand-first": lambda b, m, a, n, w, c, s, g: f"{b} {m} {g} {a} {n}",
    "noun-first": lambda b, m, a, n, w, c, s, g: f"{n} {m} {w} {a} by {b}" if b else f"{n} {m} {w} {a}",
    "dashes": lambda b, m, a, n, w, c, s, g: f"{b} {n} {m} - {w} - {c}" if w else f"{b} {m} {n} - {c}",
    "shouting": lambda b, m, a, n, w, c, s, g: f"{b} {m} {g} {n} {s}".upper(),
    "no-brand": lambda b, m, a, n, w, c, s, g: f"{a} {n} “{m}” {w}",
    "everything": lambda b, m, a, n, w, c, s, g: f"{b} {m} {g} {a} {w} {n} {c} {s}",
    "brand-last": lambda b, m, a, n, w, c, s, g: f"{g} {n} {w} {m} | {b}",
}


@functools.cache
def _raw_category(retailer: Retailer, category: Category, coarser: bool) -> str:
    """The retailer's own text for ``category``, one level coarser if asked for."""
    nodes = ancestors(category)
    names = [{"name": n.names[-1], "alt": n.alt, "german": n.german}[retailer.vocabulary] for n in nodes]
    if coarser and len(names) > 1:
        names.pop()
    names = [names[0], *names[-1:]] if retailer.depth == 0 and len(names) > 1 else names[: retailer.depth or 1]
    if retailer.prefix:
        names.insert(0, retailer.prefix)
    text = retailer.separator.join(names)
    return text.upper() if retailer.upper else text


def mojibake(text: str) -> str:
    """``text`` as it looks when its UTF-8 bytes were read as Windows-1252: ``Ã©`` for ``é``."""
    return text.encode("utf-8").decode("cp1252", "replace")


def _misspell(title: str, where: float, how: float) -> str:
    """``title`` with one letter of one of its longer words dropped, doubled or swapped with the next."""
    words = title.split()
    long = [k for k, word in enumerate(words) if len(word) > 4]
    if not long:
        return title
    k = long[int(where * len(long))]
    word = words[k]
    at = 1 + int(how * 7919) % (len(word) - 2)
    if how < 0.35:
        words[k] = word[:at] + word[at + 1 :]
    elif how < 0.6:
        words[k] = word[:at] + word[at] + word[at:]
    else:
        words[k] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def generate(seed: int, start: int, stop: int) -> Iterator[Product]:
    """Products ``start`` to ``stop`` (not included), in order, in memory for one block at a time."""
    import numpy as np

    for block in range(start // BLOCK, -(-stop // BLOCK) if stop > start else 0):
        key = np.array([seed & (2**64 - 1), block], np.uint64)
        raw = np.random.Philox(key=key).random_raw(BLOCK * (_FAMILY + _OWN))
        numbers = ((raw >> np.uint64(11)) * 2.0**-53).reshape(BLOCK, _FAMILY + _OWN).tolist()
        first = block * BLOCK
        for row, values in enumerate(numbers[: stop - first]):
            if row == 0 or values[_FAMILY] < _NEW_FAMILY:
                family = _Family(*values[:_FAMILY])
            if first + row >= start:
                yield _product(first + row, family, _Own(*values[_FAMILY:]))


class _Item(NamedTuple):
    """What a product is, before a retailer writes it down.

    Attributes:
      truth: index of its category in :data:`EXCLUSIVE`.
      noun: "" where the title names no thing at all.
      gender: a key of :data:`_GENDER_INDEX`.
    """

    truth: int
    category: Category
    retailer: Retailer
    brand: str
    model: str
    adjective: str
    noun: str
    word: str
    color: str
    size: str
    gender: str


def _product(index: int, family: _Family, own: _Own) -> Product:
    # A fifth of the variants is the same product at another retailer.
    shop = _RETAILER[int((own.retailer if own.moved < 0.2 else family.retailer) * 4096)]
    color_index = int(own.color * len(COLORS))
    item = _item(family, own, RETAILERS[shop], COLORS[color_index][0])
    category, retailer = item.category, item.retailer
    title, description, raw_category = _title(item, family, own), _description(item, family, own), ""
    if own.category >= retailer.no_category:
        raw_category = _listed(item, family, own)

    brand_column = "" if own.brand < retailer.no_brand else item.brand
    color_column = "" if own.has_color < retailer.no_color else item.color
    size_column = "" if own.has_size < 0.15 else item.size
    if own.swap < 0.012:  # Wrong columns: the brand stands in the title's, or the colour in the size's.
        title, brand_column = item.brand, title
    elif own.size_column < 0.015:
        size_column, color_column = item.color, ""
    if own.mojibake < retailer.mojibake:
        title, description, raw_category = mojibake(title), mojibake(description), mojibake(raw_category)
    if own.space < 0.03:
        title = f"  {title.replace(' ', '  ', 1)}\t\x07"

    number = f"s{shop + 1}-{index:07d}"
    state = "" if own.image < _NO_IMAGE else "lost" if own.image < _IMAGE_LOST else "good"
    if state == "good" and own.image < _IMAGE_BROKEN:
        state = "broken"
    record = (
        number,
        title,
        description,
        brand_column,
        _price(category, family, own),
        retailer.currency,
        raw_category,
        retailer.genders[_GENDER_INDEX[item.gender]] if category.genders and own.gender >= retailer.no_gender else "",
        size_column,
        color_column,
        f"images/{index & 255:02x}/{index:07d}.png" if state else "",
        retailer.name,
        f"https://{retailer.host}/p/{number}",
        "in stock" if own.stock < 0.85 else "out of stock" if own.stock < 0.96 else "preorder",
    )
    return Product(record, item.truth, shop, family.weak < _HARD, color_index, state)


def _item(family: _Family, own: _Own, retailer: Retailer, color: str) -> _Item:
    truth = _CATEGORY[int(family.category * 4096)]
    category = EXCLUSIVE[truth]
    pool = CATEGORY_BRANDS[truth]
    if family.weak < _HARD:
        noun = _WEAK[truth] if family.weak < 0.10 else ""
    else:
        noun = _NOUNS[truth][int(family.noun * family.noun * len(_NOUNS[truth]))]
    sizes = SIZES[category.sizes]
    return _Item(
        truth=truth,
        category=category,
        retailer=retailer,
        brand=BRANDS[int(family.brand * 200)]
        if family.foreign < 0.06
        else pool[int(family.brand * family.brand * len(pool))],
        model=f"{MODELS[int(family.model * len(MODELS))]} {10 * (1 + int(family.number * 98))}",
        adjective=_ADJECTIVES[int(family.adjective * len(_ADJECTIVES))],
        noun=noun,
        word=category.words[int(family.word * len(category.words))],
        color=color,
        size=sizes[int(own.size * len(sizes))],
        gender=category.genders[int(family.gender * len(category.genders))] if category.genders else "",
    )


def _title(item: _Item, family: _Family, own: _Own) -> str:
    gender = ""
    if item.gender and family.title_gender < 0.5:
        gender = _TITLE_GENDERS[item.gender][int(family.title_gender * 6)]
    brand, word = item.brand if own.brand > 0.01 else "", item.word if family.word2 < 0.5 else ""
    title = TITLES[item.retailer.style](brand, item.model, item.adjective, item.noun, word, item.color, item.size,
                                        gender)  # fmt: skip
    if own.typo < 0.07:
        title = _misspell(title, own.where, own.how)
    return " ".join(title.split())


def _description(item: _Item, family: _Family, own: _Own) -> str:
    if own.description < item.retailer.no_description:
        return ""
    description = _describe(item, family)
    if own.html < item.retailer.html:
        description = f"<p>{description.replace('. ', '.</p><p>')}</p>".replace(" and ", " &amp; ")
        if own.entity < 0.5:
            description += "<br/><ul><li>Colour:&nbsp;" + item.color + "</li></ul>"
    return description


def _describe(item: _Item, family: _Family) -> str:
    words = item.category.words
    word2, word3 = words[int(family.word2 * len(words))], words[int(family.word3 * len(words))]
    noun, adjective = (item.noun or "Product").lower(), item.adjective.lower()
    if family.text < 0.35:
        result = f"{adjective.capitalize()} {noun} with {item.word} and {word2}."
    elif family.text < 0.6:
        result = f"The {item.model} series: {word2}, {word3}, {adjective}."
    elif family.text < 0.85:
        result = f"This {noun} is all about {word3} and {item.word}. {adjective.capitalize()} design."
    else:
        result = f"A truly {adjective} choice for every day."
    if family.filler < 0.7:
        result += " " + FILLERS[int(family.filler / 0.7 * len(FILLERS))]
    if family.related < 0.2:
        others = _RELATED[item.truth]
        result += f" Goes well with our {others[int(family.related * 5 * len(others))]}."
    return result


def _listed(item: _Item, family: _Family, own: _Own) -> str:
    """The category that the retailer gives: for some products a wrong one, a rough one or a shop window."""
    if own.window < 0.03:
        return WINDOWS[int(own.window / 0.03 * len(WINDOWS))]
    place = (item.truth + 1 + int(family.price * 4)) % len(EXCLUSIVE) if family.misplaced < 0.03 else item.truth
    return _raw_category(item.retailer, EXCLUSIVE[place], family.coarse < 0.2)


def _price(category: Category, family: _Family, own: _Own) -> str:
    if own.no_price < 0.02:
        return ""
    if own.price < 0.003:
        return ("99999.00", "1000000.00", "9999999.99")[int(own.price * 1000)]
    low, high = category.price
    amount = int((low + (high - low) * family.price * family.price) * (1.0 if own.sale < 0.8 else 0.8))
    return f"{amount}.{('90', '99', '00', '95')[int(own.cents * 4)]}"
