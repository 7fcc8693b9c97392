"""Which passwords an account may have: none that is on a list of common ones, or made of such by the usual tricks."""

from __future__ import annotations

import re
import unicodedata

SHORTEST, LONGEST = 10, 500
GUESSES = 1e8
"""Guesses that a password has to withstand, as zxcvbn estimates them: at the pace that sign-ins of one account are
checked they take centuries."""

ESTIMATED = 72
"""Characters that are looked at: what follows can only make a password better, and the estimate takes time."""

HINT = "a few random words are easy to remember"


def unusable(password: str, account: str) -> tuple[str, str] | None:
    """What is wrong with a new password, and what to do about it; None: nothing. Neither repeats the password.

    Args:
      account: whose it is to be: its name is no secret, nor is the program's.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return f"expected {SHORTEST} to {LONGEST} characters", HINT
    try:
        password.encode()
    except UnicodeEncodeError:
        return "expected text in UTF-8", "set the terminal's encoding to UTF-8"
    from zxcvbn import zxcvbn

    parts = re.split(r"[\W_]+", account)
    known = ["shelfmark", "labelling", "labeller", account, "".join(parts), *parts]
    # Wide letters, ligatures and capitals add nothing that a guesser would not try.
    plain = unicodedata.normalize("NFKC", password)
    variants = {text[:ESTIMATED] for text in (plain, plain.casefold(), _letters(plain))}
    inputs = [unicodedata.normalize("NFKC", text).casefold() for text in known if text]
    weakest = min((zxcvbn(text, inputs) for text in variants if text), key=lambda estimate: float(estimate["guesses"]))
    if float(weakest["guesses"]) >= GUESSES:
        return None
    why = str(weakest["feedback"]["warning"]).strip().rstrip(".")
    return "expected one that is hard to guess" + (f" ({why[0].lower()}{why[1:]})" if why else ""), HINT


def _letters(text: str) -> str:
    """Without what is not drawn, and without accents: ``pässwörd`` is ``password``."""
    kept = (c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c)[0] not in "MC")
    return "".join(kept)
