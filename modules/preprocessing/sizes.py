"""Sizes that follow from the settings alone (no TensorFlow)."""

from __future__ import annotations

from modules.settings.features import TextFeature


def text_size(feature: TextFeature) -> int:
    """How many distinct ids a text feature has: words, then word n-gram buckets, then character n-gram buckets."""
    hashes = [part.buckets for part in (feature.word_ngrams, feature.characters) if part is not None]
    return feature.vocabulary + sum(hashes)
