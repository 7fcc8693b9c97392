"""The features that read a product's texts, of a workflow that names none and of one that ``init`` writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from modules.examples import BRAND, DESCRIPTION, RAW_CATEGORY, TITLE
from modules.features.text import HashedNgrams, TextFeature

TEXTS = (TITLE, DESCRIPTION, BRAND, RAW_CATEGORY)
"""Fields that say what a product is, the most telling first."""

JOINT = "text"
"""The feature that reads all of them as one text."""


def text_features(
    fields: Collection[str], *, long: Collection[str], further: Iterable[str] = (), few: bool = False
) -> dict[str, TextFeature]:
    """All fields as one text, and the words of each for itself at half the loudness.

    One text weighs fields by their length, which is right where the title says little; fields for themselves keep apart
    what a word in the title and in the description means (docs/explanation/results/default_model.md).

    Args:
      fields: the columns that there are; those that are no text are left out.
      long: fields whose runs of characters would cost more than they tell.
      further: attributes that hold texts, for the one text alone.
      few: whether the products are so few that half as many words and runs are worth a column.
    """
    half = 2 if few else 1
    names, further = [field for field in TEXTS if field in fields], tuple(further)
    runs = {"characters": HashedNgrams(ngrams=(2, 5), buckets=65536 // half)}
    joint = {"vocabulary": 20000 // half, "word_ngrams": HashedNgrams(ngrams=(2, 2), buckets=32768 // half)}
    if len(names) < 2 and not further:
        return {name: _text(**joint, **({} if name in long else runs)) for name in names}
    # Without runs of characters in the one text, the short fields have their own.
    apart = bool(further) or not set(names).isdisjoint(long)
    features = {JOINT: _text(columns=(*names, *further), **joint, **({} if apart else runs))}
    for name in names:
        own = runs if apart and name not in long else {}
        features[name] = _text(vocabulary=8000 // half, scale=0.5, **own)
    return features


def _text(**settings: object) -> TextFeature:
    return TextFeature.model_validate({"sublinear": True, **settings})
