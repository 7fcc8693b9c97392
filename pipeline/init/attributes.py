"""Which further columns of a feed help to tell categories, and as what; what could give the category away stays out.

A wrong attribute costs more than a missing one: a column that knows the label makes every figure of the evaluation too
good, and the model useless for products whose column is empty. So a column must look harmless by its name, by its
values, and by what they say of the category to learn.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from modules.category_text import Names
from modules.examples import AVAILABILITY, CURRENCY, IMAGE, PRICE, RESERVED, RETAILER, URL
from modules.feeds.identifiers import item_groups_of
from modules.feeds.mapping import as_vector
from modules.feeds.numbers import NumberReader
from modules.feeds.units import is_known_unit
from modules.feeds.values import NotUsable, says_none
from modules.settings.feed import FieldSettings
from pipeline.init.categories import CategoryGuess
from pipeline.init.columns import SampledColumn
from pipeline.init.fields import ALIASES, CATEGORY_ALIASES, name_score, normalise

TakenAs = Literal["text", "categorical", "number", "vector"]
TEXT: Final = "text"
CATEGORICAL: Final = "categorical"
NUMBER: Final = "number"
VECTOR: Final = "vector"

MOST = 16
"""Attributes: each costs some two seconds in every run, and the fullest ones tell most."""

LEAST_FILL, LEAST_FILLED = 0.05, 20
"""Share and number of the products that must have a value."""

MOST_COMMON = 0.98
"""Share of the most frequent value, above which a column tells nothing."""

MOST_VALUES, LEAST_REPEATED = 1000, 5
"""Distinct values of a categorical attribute, and how often one stands there on average."""

SHORT, LEAST_WORDS = 40, 3
"""Characters of a categorical value, and words of a text, on average."""

TOLD = 0.98
"""Share of the values that must tell a number."""

KNOWS, FOLLOWS = 0.6, 0.9
"""Share of the way from guessing to certainty, from which on a column knows the category, and follows from it."""

LEAST_ARTICLES = 40
"""Articles whose variants count once: fewer would hide a code of the category."""

NAMES_CATEGORY, NAMES_UPPER = 0.2, 0.5
"""Share of the products whose value holds the name of the category, or of one above it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.replace("_", " ").split())


_OF_ANY_PRODUCT = _words("product producto produit item article name main raw merchant google")
"""Words beside the telling ones of CATEGORY_ALIASES: an ``item_weight`` or a ``product.metafields`` is no category."""

_CATEGORY_WORDS = (_words(CATEGORY_ALIASES) - _OF_ANY_PRODUCT) | _words(
    "cat cats categ catid categoryid subcat cluster clusters label labels target truth gold y taxonomy taxon node "
    "segment family line range collection section theme commodity hs tariff unspsc gpc etim eclass naics browse tree "
    "path level lvl classification tax gruppe wgr genre tag tags keyword keywords split fold prediction predicted "
    "score abteilung bereich sparte typ tipo familie famille famiglia familia gamme gama groupe grupo gruppo grupa "
    "rodzaj dzial afdeling soort avdelning osasto"
)
"""A column with one of these in its name may hold the category, in whatever code."""

_ID_WORDS = _words(
    "id ids nr no number num sku skus ean gtin upc isbn asin mpn code codes key hash uuid guid ref reference barcode "
    "handle slug index idx position rank row pk fk parent version checksum token user seller shop merchant"
)
_NO_ATTRIBUTE_WORDS = _words(
    "date time datetime timestamp created updated modified published expires expiry deadline url uri link links href "
    "src file filename image images img picture pictures photo photos thumbnail video icon html email phone price "
    "prices cost sale discount amount currency delivery fulfillment stock quantity qty inventory availability "
    "available instock clicks views sold sales commission margin status active enabled visible deleted language lang "
    "locale country year month day hour week"
)
_COMPOUNDS = ("preis", "prijs", "bestand", "datum", "nummer", "nr", "gruppe", "groep", "kategorie", "categorie")
"""How words end that German and Dutch write as one: ``Einkaufspreis``, ``Warennummer``, ``Hauptgruppe``."""

_NO_ATTRIBUTE_FIELDS = ("id", PRICE, CURRENCY, AVAILABILITY, IMAGE, URL, RETAILER)
"""Product fields after which no attribute is called, in any of their languages."""
_SWITCH = _words("true false yes no y n ja nein oui non si sí da nie tak on off")
"""Values of columns that say yes or no of a product, mostly of what a shop does with it."""

_SAY_LITTLE = _words("value values amount unit avg average mean min max number text content data")
"""Last parts of dotted names that need the others: two feeds' ``height.value`` and ``weight.value`` differ."""

_FEATURES = ("text", "meaning", "further_meaning", "picture")
"""Features that `init` writes, whose names are no column's."""

_OTHER_IN_YAML = _words("true false null yes no on off y n")
"""Names that are no text where a workflow lists an attribute's name without quotes."""

_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[T ].*)?|\d\d?[./-]\d\d?[./-]\d{2,4}(?: .*)?|\d{4}/\d\d?/\d\d?.*")
_ENCLOSED = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")
_CODE = re.compile(r"[\d\W_]{6,}|[0-9a-fA-F-]{16,}")


@dataclass(frozen=True)
class AttributeGuess:
    """A column that becomes an attribute.

    Attributes:
      taken_as: what for. length: of a vector, 0 of anything else.
      fill: share of the products that have it.
    """

    name: str
    column: str
    taken_as: TakenAs
    examples: tuple[str, ...]
    fill: float
    length: int = 0


def guess_attributes(
    columns: Mapping[str, SampledColumn],
    sample: Sequence[dict[str, Any]],
    used: Collection[str],
    category: CategoryGuess | None,
    item_group: str | None = None,
) -> tuple[tuple[AttributeGuess, ...], tuple[str, ...]]:
    """The columns that become attributes, in the feed's order, and those that do not as they tell the category.

    Args:
      columns: all of the feed. sample: the records that they were summarised from.
      used: columns that are something else already.
      category: the column with the category to learn.
      item_group: the column that says which products are variants of one article.
    """
    truths = [category.cells.names(record.get(category.column)) for record in sample] if category else []
    articles: list[Hashable] = []
    if item_group is not None:
        groups = (item_groups_of(item_group, record.get(item_group)) for record in sample)
        articles = [group or number for number, group in enumerate(groups)]
    guesses: list[AttributeGuess] = []
    telling: list[str] = []
    names = {*RESERVED, *FieldSettings.model_fields, *_FEATURES, *_OTHER_IN_YAML}
    for column in map(_without_none, columns.values()):
        taken_as = None if column.name in used else _taken_as(column, sample)
        if taken_as is None:
            continue
        if _knows_category(column.name, sample, truths, articles):
            telling.append(column.name)
            continue
        name = _free_name(column.name, names)
        names.add(name)
        examples = (f"vectors of {column.vector_length} numbers",) if taken_as == VECTOR else tuple(column.examples())
        length = column.vector_length if taken_as == VECTOR else 0
        guesses.append(AttributeGuess(name, column.name, taken_as, examples, column.fill, length))
    fullest = sorted(guesses, key=lambda guess: -guess.fill)[:MOST]
    return tuple(guess for guess in guesses if guess in fullest), tuple(telling)


def vector_column(columns: Mapping[str, SampledColumn], sample: Sequence[dict[str, Any]]) -> SampledColumn | None:
    """The first column with vectors of the products, which is called after no category and is no code of one."""
    for column in columns.values():
        if column.vectors and not set(normalise(column.name)) & _CATEGORY_WORDS and _as_vector(column, sample):
            return column
    return None


def common_attributes(feeds: Iterable[Sequence[AttributeGuess]]) -> dict[str, AttributeGuess]:
    """Attributes of several feeds by name, without those that two feeds take as different things."""
    by_name: dict[str, AttributeGuess] = {}
    differing: set[str] = set()
    for guess in (guess for feed in feeds for guess in feed):
        first = by_name.setdefault(guess.name, guess)
        if (first.taken_as, first.length) != (guess.taken_as, guess.length):
            differing.add(guess.name)
    return {name: guess for name, guess in by_name.items() if name not in differing}


def _without_none(column: SampledColumn) -> SampledColumn:
    """The column as if words for none, such as ``n/a``, were missing values."""
    distinct = {text: count for text, count in column.distinct.items() if not says_none(text)}
    none = sum(column.distinct.values()) - sum(distinct.values())
    return replace(column, distinct=distinct, filled=column.filled - none)


def _taken_as(column: SampledColumn, sample: Sequence[dict[str, Any]]) -> TakenAs | None:
    """As what a column is of use; None where it is of none, or may be an id, a date or an address."""
    if not _is_harmless(column.name) or column.nested:
        return None
    if column.filled < LEAST_FILLED or column.fill < LEAST_FILL:
        return None
    if column.vectors:
        return _as_vector(column, sample)
    distinct = len(column.distinct)
    if distinct < 2 or max(column.distinct.values()) > MOST_COMMON * column.filled:
        return None
    if column.urls + column.images > 0.01 * column.filled or _share(column, _DATE) > 0.05:
        return None
    numbers = _numbers(column)
    if numbers is not None:
        return NUMBER if _measures(column, numbers) else None
    return _as_words(column)


def _is_harmless(name: str) -> bool:
    """Whether a column's name says neither of a category, nor of an id, nor of what changes with time or shop."""
    words = normalise(name)
    if set(words) & (_CATEGORY_WORDS | _ID_WORDS | _NO_ATTRIBUTE_WORDS) or any(w.endswith(_COMPOUNDS) for w in words):
        return False
    aliases = (CATEGORY_ALIASES, *(ALIASES[field] for field in _NO_ATTRIBUTE_FIELDS))
    return all(name_score(name, names) < 0.5 for names in aliases)


def _as_words(column: SampledColumn) -> TakenAs | None:
    """Numbers that were not safe to take as such are no words, either."""
    lettered = sum(count for text, count in column.distinct.items() if any(map(str.isalpha, text)))
    if all(text.casefold() in _SWITCH for text in column.distinct):
        return None
    if lettered < 0.9 * column.filled or _share(column, _CODE) > 0.2:
        return None
    repeated = column.filled >= LEAST_REPEATED * len(column.distinct)
    if repeated and len(column.distinct) <= MOST_VALUES and column.mean_characters <= SHORT:
        return CATEGORICAL
    return TEXT if column.mean_words >= LEAST_WORDS and not column.lists else None


def _as_vector(column: SampledColumn, sample: Sequence[dict[str, Any]]) -> TakenAs | None:
    """Vectors of one length, and mostly another one for each product: no code of a category.

    A single value that is no such vector would put its product into the quarantine, which no attribute is worth.
    """
    values = [value for record in sample if (value := record.get(column.name)) not in (None, "")]
    try:
        different = {as_vector(column.name, value, column.vector_length).tobytes() for value in values}
    except NotUsable:
        return None
    return VECTOR if len(different) > 0.5 * len(values) else None


def _share(column: SampledColumn, pattern: re.Pattern[str]) -> float:
    return column.share(sum(count for text, count in column.distinct.items() if pattern.fullmatch(text)))


def _numbers(column: SampledColumn) -> dict[float, int] | None:
    """Distinct numbers and their products, of a column of (nearly) nothing else."""
    reader = NumberReader(lambda: column.distinct)
    numbers: Counter[float] = Counter()
    for text, count in column.distinct.items():
        number = reader.read(text)
        if number is not None and not math.isnan(number):
            numbers[number] += count
    return dict(numbers) if numbers.total() >= TOLD * column.filled else None


def _measures(column: SampledColumn, numbers: Mapping[float, int]) -> bool:
    """Whether numbers measure something: more than a switch, and neither article numbers nor codes.

    Whole numbers without a unit, also in the column's name, are taken only where they are few and small, such as a
    rating or a number of pieces: larger ones may be codes of anything.
    """
    # Another number for each product, each above the last, is a row's number or its time.
    if len(numbers) < 5 or (len(numbers) == column.filled and list(numbers) == sorted(numbers)):
        return False
    if _names_unit(column.name):
        return True
    bare = sum(count for text, count in column.distinct.items() if text.removeprefix("-").isdigit())
    if bare < 0.9 * column.filled:
        return True
    largest = max(map(abs, numbers))
    return largest <= 100 and column.filled >= LEAST_REPEATED * len(numbers)


def _names_unit(name: str) -> bool:
    """Whether a column's name ends with a unit: ``Weight (g)``, ``length_cm``, ``Variant Grams``."""
    enclosed = _ENCLOSED.search(name)
    if enclosed is not None:
        return is_known_unit(enclosed[1])
    last = normalise(name)[-1:]
    # Single letters and "in" are mostly something else (`size_m`, `made_in`).
    return bool(last) and len(last[0]) > 1 and last[0] not in ("in", "min") and is_known_unit(last[0])


def _knows_category(
    column: str, sample: Sequence[dict[str, Any]], truths: Sequence[Names], articles: Sequence[Hashable] = ()
) -> bool:
    """Whether a column tells the category to learn at any level, follows from it, or names it.

    Args:
      truths: the category of each product; none at all where the feed has no column with them.
      articles: of which article each product is a variant, if the feed says so. Variants have weight and category in
        common, so an article counts once, with its most frequent value; where they are few, each product counts.
    """
    told = [
        (article, (_key(value), names))
        for record, names, article in zip(sample, truths, articles or range(len(truths)), strict=bool(truths))
        if names and (value := record.get(column)) not in (None, "", [], ())
    ]
    of_articles: defaultdict[Hashable, Counter[tuple[str, Names]]] = defaultdict(Counter)
    for article, pair in told:
        of_articles[article][pair] += 1
    if len(of_articles) >= LEAST_ARTICLES:
        pairs = [counts.most_common(1)[0][0] for counts in of_articles.values()]
    else:
        pairs = [pair for _, pair in told]
    leaf = sum(names[-1].casefold() in value for value, names in pairs)
    upper = sum(any(name.casefold() in value for name in names[:-1]) for value, names in pairs)
    if pairs and (leaf >= NAMES_CATEGORY * len(pairs) or upper >= NAMES_UPPER * len(pairs)):
        return True
    for depth in range(1, max((len(names) for _, names in pairs), default=0) + 1):
        level = [(value, names[:depth]) for value, names in pairs]
        if _told_by(level) >= KNOWS:
            return True
    return _told_by([(names, value) for value, names in pairs]) >= FOLLOWS


def follows(column: str, sample: Sequence[Mapping[str, Any]], category: CategoryGuess) -> bool:
    """Whether a column follows from the category to learn: a level above it, or a code of it, and no clue to it."""
    pairs = [
        (names, _key(value))
        for record in sample
        if (names := category.cells.names(record.get(category.column)))
        and (value := record.get(column)) not in (None, "", [], ())
    ]
    return _told_by(pairs) >= FOLLOWS


def _key(value: Any) -> str:
    return str(value).strip().casefold()


def _told_by(pairs: Sequence[tuple[Hashable, Hashable]]) -> float:
    """How far the first of each pair tells the second: 0 as well as the most frequent one, 1 always.

    Each pair is told from all others, so that a value that stands there once tells nothing.
    """
    groups: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for known, wanted in pairs:
        groups[known][wanted] += 1
    totals: Counter[Hashable] = Counter()
    right = 0
    for counts in groups.values():
        if counts.total() < 2:
            continue
        totals.update(counts)
        first, second = (*[count for _, count in counts.most_common(2)], 0)[:2]
        # Without itself, a pair of the most frequent one must still have it in front.
        right += first if first - 1 > second else 0
    seen = totals.total()
    if seen < max(LEAST_FILLED, 0.1 * len(pairs)):
        return 0.0
    guessed = totals.most_common(1)[0][1]
    return (right - guessed) / (seen - guessed) if seen > guessed else 0.0


def _free_name(column: str, taken: Collection[str]) -> str:
    """A name that an attribute may have: of the column's last part, else of the whole, else with a number."""
    whole = _plain_name(column)
    last = _plain_name(column.rpartition(".")[2])
    for name in (whole if last in _SAY_LITTLE else last, whole):
        if name[:1].isalpha() and name not in taken:
            return name
    stem = whole if whole[:1].isalpha() else f"attribute_{whole}".rstrip("_")
    number = 1
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


def _plain_name(column: str) -> str:
    return re.sub(r"[^a-z0-9_]", "", "_".join(normalise(column))).strip("_")[:50]
