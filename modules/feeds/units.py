"""Units of measurement as feeds write them: what is measured, and how many of one common unit each of them is."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit.

    Attributes:
      quantity: what it measures.
      factor: how many of the quantity's common unit it is.
      most: the largest number that may stand before it.
    """

    quantity: str
    factor: float
    most: float = math.inf


NO_UNIT = Unit("", 1.0)

_UNITS: dict[str, dict[float, str]] = {
    # The common unit of a quantity is the one with factor 1.
    "mass (g)": {
        0.001: "mg",
        1.0: "g gr gram grams gramm gramme",
        1000.0: "kg kgs kilo kilogram kilograms kilogramm",
        1e6: "tonne tonnes",
        28.349523125: "oz ounce ounces",
        453.59237: "lb lbs pound pounds",
    },
    "length (cm)": {
        0.1: "mm millimeter millimeters millimetre millimetres",
        1.0: "cm centimeter centimeters centimetre centimetres zentimeter",
        100.0: "m meter meters metre metres mtr",
        1e5: "km",
        2.54: "\" '' \u2032\u2032 in inch inches zoll",
        30.48: "ft foot feet",
    },
    "volume (ml)": {
        1.0: "ml milliliter millilitre",
        10.0: "cl",
        100.0: "dl",
        1000.0: "l ltr liter liters litre litres",
        29.5735295625: "fl oz",
    },
    "area (m2)": {1e-4: "cm2 qcm", 1.0: "m2 qm sqm"},
    "information (GB)": {1e-3: "mb", 1.0: "gb", 1000.0: "tb"},
    "power (W)": {1.0: "w watt watts", 1000.0: "kw"},
    "voltage (V)": {1.0: "v volt volts"},
    "charge (mAh)": {1.0: "mah", 1000.0: "ah"},
    "time (min)": {
        1 / 60: "s sec secs second seconds sekunden",
        1.0: "min mins minute minutes minuten",
        60.0: "h hr hrs hour hours std stunden",
    },
    "frequency (MHz)": {1e-6: "hz", 1e-3: "khz", 1.0: "mhz", 1000.0: "ghz"},
}

_TWO_WORDS = "fl oz"
_KNOWN = {
    word: Unit(quantity, factor)
    for quantity, units in _UNITS.items()
    for factor, words in units.items()
    for word in ([_TWO_WORDS] if words == _TWO_WORDS else words.split())
}
_RATING = re.compile(
    r"(?:/|out of|of|von|sur|de|su|van|z|из)\s?(5|10|100)(?:[.,]0)?"
    r"(?:\s?(?:stars?|points?|sternen?|punkten?|étoiles|estrellas|stelle|sterren|★))?"
)

_WORD = r"[^\W\d_]+[23]?"
_UNIT = re.compile(rf"(?:[%‰\"'\u2032★]+|°?{_WORD})(?:(?: ?/ ?| ){_WORD}){{0,2}}")
_MULTIPLE = re.compile("[MKkB]|[Mm]i(?:o|llions?)|Mrd|ml?n|bn|[Tt]sd|thousand|billion")
"""Behind a number they multiply it, mostly in counts, which nobody has said of the other values."""

_MAX_CHARACTERS = 24


def is_known_unit(text: str) -> bool:
    """Whether a text is a unit of mass, length or another quantity that this module converts."""
    unit = unit_of(text)
    return unit is not None and unit.quantity in _UNITS


@lru_cache(maxsize=4096)
def unit_of(text: str) -> Unit | None:
    """The unit that stands behind a number: ``kg``, ``%``, ``/ 5``; None if the text can be none.

    A word that no table knows is a quantity of its own. So is the scale of a rating (``/ 5``, ``out of 10 stars``).
    """
    text = text.strip()
    if not text:
        return NO_UNIT
    if _MULTIPLE.fullmatch(text.rstrip(".")):
        return None
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    rating = _RATING.fullmatch(text)
    if rating is not None:
        return Unit(f"/{rating[1]}", 1.0, float(rating[1]))
    text = text.removesuffix(".")
    if text in _KNOWN:
        return _KNOWN[text]
    return Unit(text, 1.0) if len(text) <= _MAX_CHARACTERS and _UNIT.fullmatch(text) else None
