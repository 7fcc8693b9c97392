"""Which names a new account may have: none that people could take for another account's.

The rules are those of Unicode's security mechanisms (UTS #39): letters of one script, and no two names that look alike
(``anna`` beside ``аnna`` with a Cyrillic letter) or differ in capitals alone. Accounts that are there already keep
their names.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 100
MARKS = 4
"""Marks on one letter, at most: more would be drawn over the lines above and below."""

IGNORABLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10),
     *range(0xE0100, 0xE01F0)]
)  # fmt: skip
"""Letters and marks that are not drawn (Default_Ignorable_Code_Point; the other ones are no letters anyway)."""

TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
"""Scripts that names mix: Japanese, Chinese, Korean ("highly restrictive" in UTS #39)."""


def written(name: str) -> str:
    """A name as it is kept: letters and their marks composed, whatever the keyboard sent."""
    return unicodedata.normalize("NFC", name)


def unusable(name: str) -> str | None:
    """What is wrong with a new account's name; None: nothing."""
    if not 0 < len(name) <= LONGEST or name != name.strip() or not name.isprintable():
        return f"expected 1 to {LONGEST} printable characters"
    plain = unicodedata.normalize("NFKC", name)
    if plain != name:
        return f"expected plain letters, like {plain!r}"
    if "  " in name:
        return "expected single spaces"
    for c in name:
        if not _allowed(c):
            return f"expected letters, digits and the signs of a keyboard, no {c!r} (U+{ord(c):04X})"
    if not any(unicodedata.category(c)[0] in "LN" for c in name):
        return "expected at least one letter or digit"
    if _marks(name) > MARKS:
        return f"expected at most {MARKS} marks on a letter"
    scripts = _scripts(name)
    if len(scripts) > 1 and not any(scripts <= together for together in TOGETHER):
        script_names = ", ".join(sorted(script.replace("_", " ").capitalize() for script in scripts))
        return f"expected letters of one script, not of several ({script_names})"
    if len({ord(c) - unicodedata.digit(c) for c in name if unicodedata.category(c) == "Nd"}) > 1:
        return "expected digits of one script"
    return None


def taken_for(name: str, others: Iterable[str]) -> str | None:
    """The first of ``others`` that people could take ``name`` for, in any case of letters; None: there is none."""
    mine = _looks(name)
    return next((other for other in others if mine & _looks(other)), None)


def skeleton(text: str) -> str:
    """Equal for texts that look alike (UTS #39, section 4)."""
    prototypes = _prototypes()
    decomposed = text
    # What stands for several characters is made of such that something else may stand for.
    for _ in range(8):
        before = decomposed
        plain = unicodedata.normalize("NFD", before)
        drawn = "".join(prototypes.get(c, c) for c in plain if ord(c) not in IGNORABLE)
        decomposed = unicodedata.normalize("NFD", drawn)
        if decomposed == before:
            break
    return decomposed


def _looks(name: str) -> set[str]:
    return {skeleton(name), skeleton(unicodedata.normalize("NFKC", name).casefold())}


def _allowed(c: str) -> bool:
    if c.isascii():
        return True
    category = unicodedata.category(c)
    return (category[0] == "L" or category in ("Mn", "Mc", "Nd")) and ord(c) not in IGNORABLE


def _marks(name: str) -> int:
    """The most marks that one letter has."""
    most = count = 0
    for c in unicodedata.normalize("NFD", name):
        count = count + 1 if unicodedata.category(c) == "Mn" else 0
        most = max(most, count)
    return most


def _scripts(name: str) -> set[str]:
    from confusable_homoglyphs.categories import alias

    return {alias(c) for c in name} - {"COMMON", "INHERITED"}


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """Character to what stands for all that look like it."""
    from confusable_homoglyphs.confusables import confusables_data

    alike: dict[str, set[str]] = defaultdict(set)
    for one, others in confusables_data.items():
        for other in others:
            pair = [_bare(one), _bare(other["c"])]
            alike[pair[0]].add(pair[1])
            alike[pair[1]].add(pair[0])
    prototypes: dict[str, str] = {}
    seen: set[str] = set()
    for start in alike:
        if start in seen:
            continue
        group, todo = {start}, [start]
        while todo:
            new = alike[todo.pop()] - group
            group |= new
            todo += new
        seen |= group
        # A group of several characters (``rn``, which ``m`` looks like) can only be what others are mapped to.
        prototype = min(group, key=lambda text: (-len(text), text))
        prototypes |= {c: prototype for c in group if len(c) == 1 and c != prototype}
    return prototypes


def _bare(text: str) -> str:
    """Without the marks of direction that the table writes around letters from right to left."""
    return unicodedata.normalize("NFD", text.replace("\u200e", ""))
