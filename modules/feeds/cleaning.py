"""Takes obvious noise out of a text: HTML, entities, control and zero-width characters, white space, Unicode NFC.

Nothing here knows a retailer.
"""

from __future__ import annotations

import html
import re
import unicodedata

# A tag, a comment or a declaration that is complete. "a < b" and "size <L" are none.
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<[!?][^<>]*>")
# A "<" that opens neither of those: the parser would take what follows for a tag and drop it.
_LONE = re.compile(r"<(?!/?[a-zA-Z][^<>]*>|[!?][^<>]*>|!--)")
_BLOCK = re.compile(
    r"<(?=/?(?:address|article|aside|blockquote|body|br|button|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset"
    r"|figcaption|figure|footer|form|h[1-6]|head|header|hr|img|input|legend|li|main|nav|ol|optgroup|option|p|pre|script"
    r"|section|select|style|summary|table|tbody|td|tfoot|th|thead|title|tr|ul)\b)",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_INVISIBLE = re.compile(
    "[\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]+")
_NO_TEXT = ["script", "style", "template", "iframe", "object", "noembed"]

# The parser needs time in the square of the nesting depth; beyond this many tags they are cut out instead.
_MAX_TAGS = 2000
# Double escaping is common, deeper is not; what is left after this many rounds loses its "<" and "&".
_MAX_ROUNDS = 4


def clean(text: str, max_chars: int = 20_000) -> str:
    """``text`` without markup, entities, control and zero-width characters, with single blanks, in NFC.

    Idempotent; never raises. Block tags separate words (``<p>red<p>shoe`` gives ``red shoe``), inline ones do not;
    scripts and styles are dropped. The result has at most ``max_chars`` characters and may be empty.
    """
    # Most texts need nothing, and this costs a fraction of a microsecond. Whatever the slow way would take out for
    # being invisible is not printable.
    if (
        text.isprintable()
        and "<" not in text
        and "&" not in text
        and "  " not in text
        and text[:1] != " "
        and text[-1:] != " "
        and len(text) <= max_chars
        and (text.isascii() or unicodedata.is_normalized("NFC", text))
    ):
        return text
    for _ in range(_MAX_ROUNDS):
        cleaned = _clean_once(text)
        if cleaned == text:
            break
        text = cleaned
    else:
        while (cleaned := _clean_once(re.sub("[<&]", " ", text))) != text:
            text = cleaned
    return text if len(text) <= max_chars else text[:max_chars].rstrip()


def unescaped(text: str) -> str:
    """``text`` with its entities as the characters that they stand for, also where they were escaped several times.

    Idempotent. Beyond four rounds what is left of an entity loses its "&", as in :func:`clean`.
    """
    for _ in range(_MAX_ROUNDS):
        if "&" not in text:
            return text
        before, text = text, _without_entities(text)
        if text == before:
            return text
    while (once := _without_entities(text)) != text:
        text = once.replace("&", " ")
    return text


def _without_entities(text: str) -> str:
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def _clean_once(text: str) -> str:
    if "<" in text and _MARKUP.search(text):
        text = _without_markup(text)
    if "&" in text:
        text = _without_entities(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    return " ".join(_CONTROL.sub(" ", text).split())


def _without_markup(text: str) -> str:
    if text.count("<") <= _MAX_TAGS:
        from selectolax.lexbor import LexborHTMLParser

        # Surrogates cannot be handed to the parser, and a NUL would end the text for it.
        source = _BLOCK.sub(" <", _LONE.sub("&lt;", _INVISIBLE.sub("", text).replace("\x00", " ")))
        tree = LexborHTMLParser(source)
        tree.strip_tags(_NO_TEXT)
        if tree.root is not None:
            return tree.root.text()
    return _MARKUP.sub(" ", text)
