"""Numbers out of price texts."""

from __future__ import annotations

import tensorflow as tf

_BLANK = r"[ '’\x{A0}\x{2009}\x{202F}]"
_GROUPED = rf"(^|[^0-9])([0-9]{{1,3}}){_BLANK}([0-9]{{3}})(?:{_BLANK}([0-9]{{3}}))?(?:{_BLANK}([0-9]{{3}}))?\b"


def parse_price(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first number in a price text ("EUR 1.234,50", "1,234.50", "49"), and whether there was one.

    A separator with one or two digits behind it at the end is the decimal one; all others group thousands. Blanks and
    apostrophes ("1 234,50", "1'234.50") group thousands too.
    """
    text = tf.strings.regex_replace(text, _GROUPED, r"\1\2\3\4\5", replace_global=False)
    number = tf.strings.regex_replace(text, r"(?s)^[^0-9]*([0-9][0-9.,]*)?.*$", r"\1")
    number = tf.strings.regex_replace(number, r"[.,]+$", "")
    decimal = tf.strings.regex_full_match(number, r".*[.,][0-9]{1,2}")
    whole = tf.strings.regex_replace(tf.strings.regex_replace(number, r"[.,][0-9]{1,2}$", ""), r"[.,]", "")
    cents = tf.strings.regex_replace(number, r"^.*[.,]([0-9]{1,2})$", r"\1")
    plain = tf.where(decimal, tf.strings.join([whole, ".", cents]), tf.strings.regex_replace(number, r"[.,]", ""))
    valid = tf.strings.regex_full_match(plain, r"[0-9]{1,15}(\.[0-9]{1,2})?")
    return tf.strings.to_number(tf.where(valid, plain, tf.fill(tf.shape(plain), "0"))), valid
