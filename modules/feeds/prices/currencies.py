"""Which currency a sign or code stands for, and how many decimals its prices have."""

from __future__ import annotations

from functools import lru_cache

_ALL_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK "
    "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON "
    "RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH "
    "UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
_CODES = frozenset(_ALL_CODES.split())
_COMMON = (
    "EUR", "USD", "GBP", "CHF", "PLN", "SEK", "NOK", "DKK", "CZK", "HUF", "INR", "AUD", "CAD", "JPY", "CNY", "BRL",
    "MXN", "RUB", "UAH",
)  # fmt: skip
"""Codes that are taken in any case; others, such as ALL, TOP or TRY, are also words."""

_SIGNS = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP", "gbp£": "GBP", "₹": "INR", "₺": "TRY", "tl": "TRY",
    "₽": "RUB", "руб": "RUB", "р": "RUB", "₴": "UAH", "грн": "UAH", "₩": "KRW", "원": "KRW", "₪": "ILS", "฿": "THB",
    "₫": "VND", "đ": "VND", "zł": "PLN", "zl": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON", "лв": "BGN", "円": "JPY",
    "元": "CNY", "rp": "IDR", "rm": "MYR", "r$": "BRL", "us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD",
    "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "nt$": "TWD", "mx$": "MXN", "fr": "CHF", "sfr": "CHF",
    "₱": "PHP", "₦": "NGN", "₸": "KZT", "₼": "AZN", "₾": "GEL", "₡": "CRC", "₲": "PYG", "₵": "GHS", "dh": "AED",
    "ریال": "IRR", "د.إ": "AED", "ر.س": "SAR", "د.ك": "KWD", "ج.م": "EGP",
}  # fmt: skip
_SHARED = frozenset({"$", "kr", "¥", "rs", "r", "din", "дин", "ден", "ls", "lt", "৳", "﷼"})
"""Signs of several currencies: they mark a price, and say nothing of which currency it is in."""

WITHOUT_DECIMALS = (
    "BIF", "CLP", "COP", "CRC", "DJF", "GNF", "HUF", "IDR", "IRR", "ISK", "JPY", "KMF", "KRW", "LAK", "MMK", "PYG",
    "RWF", "TZS", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
)  # fmt: skip
"""Currencies whose prices are written without decimals in practice."""

WITH_THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")


@lru_cache(maxsize=4096)
def currency_of(sign: str) -> str | None:
    """The ISO 4217 code of a sign or code; "" where several currencies share it, None where it is no currency."""
    sign = sign.strip().rstrip(".")
    upper = sign.upper()
    if upper in _CODES and (sign == upper or upper in _COMMON):
        return upper
    lower = sign.lower()
    return "" if lower in _SHARED else _SIGNS.get(lower)
