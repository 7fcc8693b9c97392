"""The price that a cell's text tells, of all the numbers in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from modules.feeds.prices.currencies import currency_of
from modules.feeds.prices.numbers import NUMBER, WrittenNumber, written

MAX_CHARACTERS = 300
"""A longer cell is a description, not a price."""

MAX_AMOUNT = 1e12
"""What is not below it is an article number or a telephone number, not a price."""

OpenMark = Callable[[str, str], bool]
"""(open mark, currency) to whether the mark is the decimal one."""

_FREE_WORDS = (
    "free gratis kostenlos umsonst gratuit gratuite gratuito gratuita grátis bezpłatnie darmowy zdarma ilmainen "
    "ingyenes gratuitement бесплатно безкоштовно ücretsiz 免费 免費 無料 무료 مجاني"
)
_FREE = frozenset(_FREE_WORDS.split())
_DASHES, _APOSTROPHES = "‐‑‒–—―−﹣－", "’‘ʼ′`´٬＇"
_TRANSLATED = {
    **dict.fromkeys(map(ord, _DASHES), "-"), **dict.fromkeys(map(ord, _APOSTROPHES), "'"),
    ord("٫"): "·", ord("،"): ",", ord("￥"): "¥", ord("￡"): "£", ord("￠"): "¢", ord("￦"): "₩", ord("～"): "-",
    ord("〜"): "-", ord("~"): "-",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED_CENTS = re.compile(r"(?<=\d)[.,]?([⁰¹²³⁴⁵⁶⁷⁸⁹]{2})(?!\w)")
_NO_CENTS = re.compile(r"(?<=\d)(?:[.,]-+|\s?:-|/-)(?![\d-])")
_SIGN_AS_MARK = re.compile(r"(?<![\d.,])(\d+)([€£$¥])(\d\d)(?![\d.,]|\s*[€£$¥])")
_IN_TWO = re.compile(
    r"(?<![\d.,])(\d+)\s*([^\W\d_]{1,4}\.?|[€£$₽₴₹])\s*(\d\d)\s*(?:gr|коп|ct|cts|cents?|hal|øre|öre|bani|kr|paise)\b\.?",
    re.IGNORECASE,
)
_ALONE = re.compile(r"([^\d\s.,'·+()/%-]{1,4}(?:(?<=[^\W\d_])\.)?)? ?([0-9][0-9.,]*) ?([^\d\s.,'·+()/%-]{1,4}\.?)?")
_EXPONENT = re.compile(r"([^\W\d]{3} ?)?(\d+(?:\.\d*)?[eE][+-]?\d{1,2})( ?[^\W\d]{3})?")
_SIGN = r"[^\W\d_]{0,3}[$€£¥₹₺₽₴₩₪฿₫₱₦₸₼₾₡₲₵৳﷼]|[^\W\d_]+(?:\.[^\W\d_]+)?"
_BEFORE = re.compile(rf"({_SIGN})\.?\s*({_SIGN})?\.?(\s*)-?\s*$")
_AFTER = re.compile(rf"\s*({_SIGN})")
_REDUCTION = re.compile(r"[\s($€£¥₹:]-[$€£¥₹]?$")
_MINUS = re.compile(rf"^\s*\(?(?:[^\W\d_]{{3}}\s*)?-\s*(?:{_SIGN})?\s*$|[\s($€£¥₹:]-[$€£¥₹]?$")
_GLUED_BEFORE, _GLUED_AFTER = re.compile(r"([^\W\d_]+)$"), re.compile(r"([^\W\d_]+|[½¼¾])")
_LARGE = re.compile(
    r"\s?(?:k|m|mn|mio|mill?ion(?:s|en|es|i)?|millones|bn|billion|lakhs?|lacs?|crores?|cr|thousand|tsd|mil|tys|тыс|млн)\b"
    r"|\s?[万萬億亿千만억]",
    re.IGNORECASE,
)
_CENTS = re.compile(r"\s?(?:¢|(?:p|ct|cts|cents?)\b)", re.IGNORECASE)
_PER = re.compile(r"[^\d(]{0,12}?(?:/\s*[^\W\d_]|\b(?:per|pro|je|por|par|al|each)\b)", re.IGNORECASE)
_QUANTITY = re.compile(r"(?:/|\b(?:per|pro|je|por|par)\b)\s*$", re.IGNORECASE)
_TIMES, _FOR = re.compile(r"\s*[x×@]\s*"), re.compile(r"\W*\b(?:for|für|pour|por|voor|za|per)\b\W*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:-|to|bis|à|a|until|do|до|tot)\s*", re.IGNORECASE)
_ASIDE_WORDS = (
    r"save|saving|savings|spare|sparen|ersparnis|rabatt|discount|reduction|réduction|économisez|ahorra|ahorras|"
    r"risparmi|korting|shipping|versand|livraison|envío|spedizione|delivery|porto|pfand|deposit|vat|mwst|tva|iva|off"
)
_ASIDE = re.compile(rf"\b(?:{_ASIDE_WORDS})\b[^\d\n]{{0,15}}$", re.IGNORECASE)
_ADDED = re.compile(r"(?:\+|\b(?:incl|inkl|plus|zzgl)\b)[^\d]*$", re.IGNORECASE)
_OFF = re.compile(rf"[\s\w$€£¥₹%]{{0,5}}\s(?:{_ASIDE_WORDS})\b", re.IGNORECASE)
_NO_PRICE = re.compile(r"\s*(?:%|‰|°|\")")


class CellPrice(NamedTuple):
    """What a cell tells. ``amount``: None where it cannot be told; ``currency``: ISO 4217 code, "" if not said."""

    amount: float | None
    currency: str = ""


UNTOLD = CellPrice(None)


class _NoPrice(Exception):
    """The cell as a whole tells no price."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    number: WrittenNumber
    currency: str | None
    per_unit: bool
    cents: bool
    between: str


def read_cell(text: str, open_mark: OpenMark) -> CellPrice:
    """The price in a cleaned text.

    Of several prices the lowest counts: what a range starts at, or what is asked now. Percentages, savings, shipping,
    quantities and prices per unit beside others are none. Negative amounts, more than two different prices, "2 for 5",
    "1.2M" and numbers whose marks make no sense cannot be told.
    """
    if len(text) > MAX_CHARACTERS or "://" in text:
        return UNTOLD
    alone = _alone(text, open_mark)
    if alone is not None:
        return alone
    text = plain(text)
    if text.strip(" .!*").casefold() in _FREE:
        return CellPrice(0.0)
    match = _EXPONENT.fullmatch(text.strip())
    if match is not None:
        amount = float(match[2])
        return CellPrice(amount, currency_of(match[1] or match[3] or "") or "") if amount < MAX_AMOUNT else UNTOLD
    try:
        candidates = _chosen(_candidates(text))
    except _NoPrice:
        return UNTOLD
    if not candidates:
        return UNTOLD
    currency = next((candidate.currency for candidate in candidates if candidate.currency), "")
    amounts = {_amount(candidate, candidates, currency, open_mark) for candidate in candidates}
    amount = min(amounts)
    return CellPrice(amount, currency) if len(amounts) <= 2 and max(amounts) < MAX_AMOUNT else UNTOLD


def _alone(text: str, open_mark: OpenMark) -> CellPrice | None:
    """Most cells: one number with ASCII digits, and a currency beside it or none. None for all others."""
    match = _ALONE.fullmatch(text)
    if match is None or match[2][-1] in ".,":
        return None
    before, token, after = match.groups()
    currency = ""
    for sign in (before, after):
        if sign is not None:
            known = currency_of(sign)
            if known is None:
                return None
            currency = known or currency
    number = written(token)
    if number is None:
        return UNTOLD
    amount = number.value(bool(number.open_mark) and open_mark(number.open_mark, currency))
    return CellPrice(amount, currency) if amount < MAX_AMOUNT else UNTOLD


def plain(text: str) -> str:
    """The text with ASCII digits, blanks, dashes and apostrophes, and cents behind a decimal mark."""
    if not text.isascii():
        text = _RAISED_CENTS.sub(lambda match: "·" + match[1].translate(_SUPERSCRIPTS), text)
        text = "".join(map(_plain_character, text.translate(_TRANSLATED)))
    text = _SIGN_AS_MARK.sub(r"\1·\3\2", _NO_CENTS.sub("", text))
    return _IN_TWO.sub(lambda match: f"{match[1]}·{match[3]} {match[2]}" if currency_of(match[2]) else match[0], text)


def numbers_in(text: str) -> list[WrittenNumber]:
    """All numbers that a cell holds, whatever they are: evidence of how a column writes its marks."""
    matches = NUMBER.finditer(plain(text[:MAX_CHARACTERS]))
    return [number for match in matches if (number := written(match[0])) is not None]


def _plain_character(character: str) -> str:
    if character < "\x80":
        return character
    if character.isspace():
        return " "
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return chr(ord(character) - 0xFEE0) if "！" <= character <= "～" else character


def _candidates(text: str) -> list[_Candidate]:
    """The numbers that may be prices, in order."""
    matches = list(NUMBER.finditer(text))
    candidates: list[_Candidate] = []
    end = 0
    for place, match in enumerate(matches):
        before = text[end : match.start()]
        after = text[match.end() : matches[place + 1].start() if place + 1 < len(matches) else len(text)]
        end = match.end()
        if place and _TIMES.fullmatch(before) and candidates:
            candidates.pop()
        if place and candidates and _FOR.fullmatch(before) and not _QUANTITY.search(before):
            raise _NoPrice
        if place and candidates and _is_quantity(before, after):
            candidates[-1] = replace(candidates[-1], per_unit=True)
            continue
        candidate = _candidate(match[0], before, after, bool(place))
        if candidate is not None:
            candidates.append(candidate)
    if candidates and re.fullmatch(r"\s?-\s*", text[end:]):
        raise _NoPrice  # 5.00- is negative
    return candidates


def _is_quantity(before: str, after: str) -> bool:
    """Whether a number is the 100 of "1.20 / 100 g" or "1.20 per 100"."""
    if _QUANTITY.search(before) is None or _currency_after(after) is not None:
        return False
    return "/" not in before or re.match(r"\s*[^\W\d_]", after) is not None


def _candidate(token: str, before: str, after: str, later: bool) -> _Candidate | None:
    """The number as a price, None if it is something else; ``later``: another number stands before it."""
    if _LARGE.match(after):
        raise _NoPrice
    known_before, glued_before = _currency_before(before)
    known_after = _currency_after(after)
    cents = _CENTS.match(after) is not None and known_after is None
    if glued_before and known_before is None:
        return None
    if known_after is None and not cents and (_GLUED_AFTER.match(after) or _NO_PRICE.match(after)):
        return None
    if not later and (before.rstrip().endswith("+") or (before.rstrip().endswith("(") and after.strip() == ")")):
        raise _NoPrice  # +49 begins a telephone number or a surcharge, (5.00) is negative
    if _is_negative(before, later):
        if later:
            return None
        raise _NoPrice
    if _ASIDE.search(before) or _OFF.match(after) or (later and _ADDED.search(before)):
        return None
    number = written(token)
    if number is None:
        raise _NoPrice
    definite = known_after or known_before
    currency = definite if definite else (known_before if known_before is not None else known_after)
    per_unit = _PER.match(after) is not None
    return _Candidate(number, currency, per_unit, cents and not number.decimal, before)


def _is_negative(before: str, later: bool) -> bool:
    """Whether the dash before a number is a minus: it touches the number or its currency sign, and nothing touches it.

    A first number's dash may also stand alone or behind a currency; between numbers it is a range's.
    """
    pattern = _REDUCTION if later else _MINUS
    return pattern.search(before) is not None


def _currency_before(before: str) -> tuple[str | None, bool]:
    """(currency of the sign before a number, whether letters touch the number)."""
    glued = _GLUED_BEFORE.search(before)
    is_glued = glued is not None and glued[1][-1] < "\u0590"
    match = _BEFORE.search(before[-24:])
    if match is None:
        return None, is_glued
    nearest = currency_of(match[2] or match[1])
    if match[2] and nearest == "":
        # "US $12" and "CAD $12": the word before a shared sign says whose it is.
        nearest = currency_of(match[1] + match[2]) or currency_of(match[1]) or ""
    return nearest, is_glued


def _currency_after(after: str) -> str | None:
    """Currency of the sign behind a number."""
    known = None
    rest = after[:24]
    for _ in range(2):
        match = _AFTER.match(rest)
        sign = currency_of(match[1]) if match else None
        if match is None or sign is None:
            break
        known = sign or known or ""
        rest = rest[match.end() :]
    return known


def _chosen(candidates: list[_Candidate]) -> list[_Candidate]:
    """Without what only accompanies a price: prices per unit, numbers without a currency, other currencies."""
    if any(not candidate.per_unit for candidate in candidates):
        candidates = [candidate for candidate in candidates if not candidate.per_unit]
    marked = [candidate for candidate in candidates if candidate.currency is not None]
    if not marked:
        return candidates
    first, last = candidates[0], candidates[-1]
    if len(candidates) == 2 and len(marked) == 1:
        between = re.sub(r"[^\w\s-]", "", last.between)
        is_range = _RANGE.fullmatch(between) or _RANGE.fullmatch(re.sub(r"^\s*[^\W\d_]+", "", between))
        if is_range:
            return [replace(first, currency=marked[0].currency), replace(last, currency=marked[0].currency)]
    return [candidate for candidate in marked if candidate.currency == marked[0].currency]


def _amount(candidate: _Candidate, beside: list[_Candidate], currency: str, open_mark: OpenMark) -> float:
    number = candidate.number
    is_decimal = False
    if number.open_mark:
        others = [other.number for other in beside if other.number is not number]
        if any(number.open_mark == other.decimal for other in others):
            is_decimal = True
        elif not any(other.decimal or number.open_mark == other.grouping for other in others):
            is_decimal = open_mark(number.open_mark, currency)
    value = number.value(is_decimal)
    return value / 100 if candidate.cents else value
