"""The demo's products: product ``i`` follows from the seed and ``i`` alone, whatever the size of the catalogue.

Random numbers come from a counter-based generator, one block of :data:`BLOCK` products at a time. A product either
starts a family or is a variant (another colour, size, or another retailer's offer) of the one before it: the family's
numbers say what the product is, its own numbers say what its record looks like.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from modules.demo.categories import CATEGORIES, EXCLUSIVE, Category, ancestors
from modules.demo.words import ADJECTIVES, BRANDS, COLORS, FILLERS, MODELS, RETAILERS, SIZES, WINDOWS, Retailer

BLOCK = 1024
COLUMNS = ("id", "title", "description", "brand", "price", "currency", "raw_category", "gender", "size", "color",
           "image", "retailer", "url", "availability")  # fmt: skip
TITLE, RETAILER_COLUMN = COLUMNS.index("title"), COLUMNS.index("retailer")

_FAMILY, _OWN = 20, 28  # Random numbers per family and per product.
_NEW_FAMILY = 0.72
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
        family: list[float] = []
        for row, values in enumerate(numbers[: stop - first]):
            if row == 0 or values[_FAMILY] < _NEW_FAMILY:
                family = values[:_FAMILY]
            if first + row >= start:
                yield _product(first + row, family, values[_FAMILY:])


def _product(index: int, family: list[float], own: list[float]) -> Product:
    (f_category, f_retailer, f_brand, f_noun, f_weak, f_adjective, f_model, f_number, f_price, f_foreign, f_gender,
     f_word, f_word2, f_word3, f_text, f_misplaced, f_coarse, f_related, f_titlegender, f_filler) = family  # fmt: skip
    (_, o_color, o_size, o_moved, o_retailer, o_typo, o_where, o_how, o_brand, o_swap, o_description, o_category,
     o_gender, o_hascolor, o_hassize, o_price, o_html, o_mojibake, o_image, o_stock, o_space, o_noprice, o_sale,
     o_imagestate, o_cents, o_entity, o_sizecolumn, o_window) = own  # fmt: skip
    truth = _CATEGORY[int(f_category * 4096)]
    category = EXCLUSIVE[truth]
    # A fifth of the variants is the same product at another retailer.
    shop = _RETAILER[int((o_retailer if o_moved < 0.2 else f_retailer) * 4096)]
    retailer = RETAILERS[shop]

    pool = CATEGORY_BRANDS[truth]
    brand = BRANDS[int(f_brand * 200)] if f_foreign < 0.06 else pool[int(f_brand * f_brand * len(pool))]
    model = f"{MODELS[int(f_model * len(MODELS))]} {10 * (1 + int(f_number * 98))}"
    adjective = _ADJECTIVES[int(f_adjective * len(_ADJECTIVES))]
    words = category.words
    word = words[int(f_word * len(words))]
    hard = f_weak < 0.13
    if not hard:
        nouns = _NOUNS[truth]
        noun = nouns[int(f_noun * f_noun * len(nouns))]
    else:
        noun = _WEAK[truth] if f_weak < 0.10 else ""
    color_index = int(o_color * len(COLORS))
    color = COLORS[color_index][0]
    sizes = SIZES[category.sizes]
    size = sizes[int(o_size * len(sizes))]
    gender = category.genders[int(f_gender * len(category.genders))] if category.genders else ""

    title_gender = _TITLE_GENDERS[gender][int(f_titlegender * 6)] if gender and f_titlegender < 0.5 else ""
    title_brand, title_word = brand if o_brand > 0.01 else "", word if f_word2 < 0.5 else ""
    title = TITLES[retailer.style](title_brand, model, adjective, noun, title_word, color, size, title_gender)
    if o_typo < 0.07:
        title = _misspell(title, o_where, o_how)
    title = " ".join(title.split())

    description = ""
    if o_description >= retailer.no_description:
        description = _describe(category, truth, noun or "Product", adjective, model, word, f_word2, f_word3, f_text,
                                f_related, f_filler)  # fmt: skip
        if o_html < retailer.html:
            description = f"<p>{description.replace('. ', '.</p><p>')}</p>".replace(" and ", " &amp; ")
            if o_entity < 0.5:
                description += "<br/><ul><li>Colour:&nbsp;" + color + "</li></ul>"

    raw_category = ""
    if o_category >= retailer.no_category:
        # Retailers sort a few products into the wrong place, and some only roughly.
        placed = EXCLUSIVE[(truth + 1 + int(f_price * 4)) % len(EXCLUSIVE)] if f_misplaced < 0.03 else category
        raw_category = _raw_category(retailer, placed, f_coarse < 0.2)
        if o_window < 0.03:
            raw_category = WINDOWS[int(o_window / 0.03 * len(WINDOWS))]

    if o_noprice < 0.02:
        price = ""
    elif o_price < 0.003:
        price = ("99999.00", "1000000.00", "9999999.99")[int(o_price * 1000)]
    else:
        low, high = category.price
        amount = int((low + (high - low) * f_price * f_price) * (1.0 if o_sale < 0.8 else 0.8))
        price = f"{amount}.{('90', '99', '00', '95')[int(o_cents * 4)]}"

    brand_column = "" if o_brand < retailer.no_brand else brand
    color_column = "" if o_hascolor < retailer.no_color else color
    size_column = "" if o_hassize < 0.15 else size
    if o_swap < 0.012:  # Wrong columns: the brand stands in the title's, or the colour in the size's.
        title, brand_column = brand, title
    elif o_sizecolumn < 0.015:
        size_column, color_column = color, ""
    if o_mojibake < retailer.mojibake:
        title, description, raw_category = mojibake(title), mojibake(description), mojibake(raw_category)
    if o_space < 0.03:
        title = f"  {title.replace(' ', '  ', 1)}\t\x07"

    number = f"s{shop + 1}-{index:07d}"
    state = "" if o_image < _NO_IMAGE else "lost" if o_image < _IMAGE_LOST else "good"
    if state == "good" and o_image < _IMAGE_BROKEN:
        state = "broken"
    record = (
        number,
        title,
        description,
        brand_column,
        price,
        retailer.currency,
        raw_category,
        retailer.genders[_GENDER_INDEX[gender]] if category.genders and o_gender >= retailer.no_gender else "",
        size_column,
        color_column,
        f"images/{index & 255:02x}/{index:07d}.png" if state else "",
        retailer.name,
        f"https://{retailer.host}/p/{number}",
        "in stock" if o_stock < 0.85 else "out of stock" if o_stock < 0.96 else "preorder",
    )
    return Product(record, truth, shop, hard, color_index, state)


def _describe(category: Category, truth: int, noun: str, adjective: str, model: str, word: str, second: float,
              third: float, text: float, related: float, filler: float) -> str:  # fmt: skip
    words = category.words
    word2, word3 = words[int(second * len(words))], words[int(third * len(words))]
    noun, adjective = noun.lower(), adjective.lower()
    if text < 0.35:
        result = f"{adjective.capitalize()} {noun} with {word} and {word2}."
    elif text < 0.6:
        result = f"The {model} series: {word2}, {word3}, {adjective}."
    elif text < 0.85:
        result = f"This {noun} is all about {word3} and {word}. {adjective.capitalize()} design."
    else:
        result = f"A truly {adjective} choice for every day."
    if filler < 0.7:
        result += " " + FILLERS[int(filler / 0.7 * len(FILLERS))]
    if related < 0.2:
        others = _RELATED[truth]
        result += f" Goes well with our {others[int(related * 5 * len(others))]}."
    return result
