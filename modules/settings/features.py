"""The one place that says how each column enters the model: Transform, training, serving and the index read it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modules.settings.base import Settings

NgramRange = tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]]


class HashedNgrams(Settings):
    """n-grams hashed into buckets: no vocabulary to count and to ship."""

    ngrams: NgramRange = (2, 5)
    """Smallest and largest n."""
    buckets: Annotated[int, Field(ge=256, le=2**24)] = 65536

    @model_validator(mode="after")
    def _check(self) -> HashedNgrams:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams must be [smallest, largest], not {list(self.ngrams)}")
        return self


class TextFeature(Settings):
    """Unicode words, lower-cased; top-k vocabulary, TF-IDF weights."""

    kind: Literal["text"] = "text"
    column: str | None = None
    """The product field; default: the feature's own name."""
    vocabulary: Annotated[int, Field(ge=1)] = 8000
    """Most frequent words kept."""
    word_ngrams: HashedNgrams | None = None
    """Runs of 2 or more words (``{ngrams: [2, 2]}``), hashed."""
    characters: HashedNgrams | None = None
    """Runs of characters inside a word and its two borders, hashed."""
    sequence: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Length of the token sequence handed on to sequence models; None: no sequence."""
    weights: Literal["tfidf", "count", "binary"] = "tfidf"
    sublinear: bool = False
    """Use 1 + log(count) in place of count."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Length of each product's weight vector: how loud this column is beside the others."""
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the embedding bag in deep models."""
    embedding: Literal["learned", "random_fixed", "pretrained"] = "learned"
    pretrained: str | None = None
    """A text file of word vectors (word, then numbers, separated by spaces) for ``embedding: pretrained``."""

    @model_validator(mode="after")
    def _check(self) -> TextFeature:
        if (self.embedding == "pretrained") != (self.pretrained is not None):
            raise ValueError("embedding: pretrained and the key pretrained (a file) go together")
        return self


class CategoricalFeature(Settings):
    """One of top-k values, or out of vocabulary, or missing."""

    kind: Literal["categorical"] = "categorical"
    column: str | None = None
    vocabulary: Annotated[int, Field(ge=1)] | None = None
    """Most frequent values kept; None keeps all."""
    width: Annotated[int, Field(ge=1, le=4096)] = 10
    embedding: Literal["learned", "random_fixed"] = "learned"


class DenseFeature(Settings):
    """A vector that comes with the feed; one that is missing, of another length or not finite is zeros and a flag."""

    kind: Literal["dense"] = "dense"
    column: str | None = None
    dimension: Annotated[int, Field(ge=1, le=65536)] = 2048


class PriceFeature(Settings):
    """log(1 + price), standardised, and a flag for a missing one."""

    kind: Literal["price"] = "price"
    column: str | None = "price"


Feature = Annotated[TextFeature | CategoricalFeature | DenseFeature | PriceFeature, Field(discriminator="kind")]


def default_features() -> dict[str, Feature]:
    """The thesis's configuration (its image vector, 2,048 or 1,280 wide, is added where the feed has one)."""
    return {
        "title": TextFeature(vocabulary=8000),
        "brand": CategoricalFeature(vocabulary=5000, width=10),
        "category": CategoricalFeature(column="raw_category", vocabulary=950, width=6),
        "raw_category": TextFeature(vocabulary=1000),
        "description": TextFeature(vocabulary=8000),
        "gender": CategoricalFeature(),
        "size": CategoricalFeature(vocabulary=100),
    }


def column_of(name: str, feature: Feature) -> str:
    """The product field that a feature reads."""
    return feature.column or name
