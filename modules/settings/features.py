"""The one place that says how each column enters the model: Transform, training, serving and the index read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from modules.settings.backbones import BACKBONES, PATCHES, PIXELS_OF, SAVED_MODEL, SMALL_CNN, SUPPLIED, Pixels
from modules.settings.base import Settings
from modules.settings.image_training import AugmentationSettings, PatchSettings

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


Side = Annotated[int, Field(ge=8, le=1024)]


class ImageFeature(Settings):
    """The product's picture through a convolutional network. A picture that is missing is known to be missing."""

    kind: Literal["image"] = "image"
    column: Literal["image_bytes"] | None = "image_bytes"
    """The pictures that the feed's ``image`` column names, as JPEG bytes."""
    size: tuple[Side, Side] = (64, 64)
    """Height and width, in pixels, that every picture is brought to."""
    backbone: Annotated[str, Field(json_schema_extra={"enum": list(BACKBONES)})] = SMALL_CNN
    """``patches``: patterns of small patches and a regression on them, found in closed form: the most accurate from
    scratch with some thousands of pictures;
    ``small_cnn``: a residual network that trains from scratch on two cores in minutes; the name of a network of
    ``keras.applications``; ``keras`` or ``savedmodel``: an encoder of your own, in ``weights``."""
    channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (24, 48, 96, 192)
    """Of ``small_cnn``: channels of its stem and of each stage, which halves height and width; 2 to 7 of them."""
    patches: PatchSettings = PatchSettings()
    """Of ``patches``."""
    weights: str = "none"
    """What it starts from: ``none`` (random), ``imagenet`` (downloaded by Keras, for networks of
    ``keras.applications``), or a file: ``.weights.h5`` of this network, the ``.keras`` file, the SavedModel folder."""
    pixels: Pixels | None = None
    """How ``keras`` and ``savedmodel`` want their pixels; ``0..255`` if left out. The others know it themselves."""
    train: str = "all"
    """``all``; ``frozen``: only what comes after the backbone learns; or a layer's name: that one and all after it
    learn. What is frozen, and every batch normalisation of a backbone that came with weights, stays as it was."""
    width: Annotated[int, Field(ge=2, le=4096)] | None = 128
    """Width of the image embedding; null: the backbone's own output."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Of linear models and ``lsa``: length of the image embedding, how loud it is beside the other features."""
    augmentation: AugmentationSettings | None = AugmentationSettings()
    """Random changes of the pictures in training; null: none."""

    @model_validator(mode="after")
    def _check(self) -> ImageFeature:
        if not 2 <= len(self.channels) <= 7:
            raise ValueError(f"channels must be 2 to 7 numbers, not {list(self.channels)}")
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, not {self.backbone!r}")
        if self.backbone in SUPPLIED and self.weights in ("none", "imagenet"):
            raise ValueError(f"backbone: {self.backbone} needs your encoder's file in weights")
        if self.weights == "imagenet" and self.backbone not in PIXELS_OF:
            raise ValueError("weights: imagenet is for networks of keras.applications")
        if self.pixels is not None and self.backbone not in SUPPLIED:
            raise ValueError(f"pixels is for keras and savedmodel; {self.backbone} knows how it is fed")
        if self.backbone == SAVED_MODEL and self.train != "frozen":
            raise ValueError("a savedmodel cannot be trained on: train: frozen, or a .keras file")
        if self.backbone == PATCHES:
            self._check_patches()
        return self

    def _check_patches(self) -> None:
        if self.weights != "none" or self.train != "all":
            raise ValueError("backbone: patches is found from the pictures; leave weights and train out")
        own = self.patches
        if len(set(own.scales)) < len(own.scales):
            raise ValueError("patches: the same scale twice")
        if own.copies and self.augmentation is None:
            raise ValueError("patches: copies are pictures changed by augmentation, which is null")
        for side, cells in zip(self.size, own.cells, strict=True):
            for patch, shrink in own.scales:
                if (side // shrink - patch) // max(1, own.stride // shrink) + 1 < cells:
                    small = f", {shrink} times smaller," if shrink > 1 else ""
                    raise ValueError(f"patches: {side} pixels{small} have too few patches of {patch} for {cells} cells")

    @property
    def weights_file(self) -> str | None:
        """The file that ``weights`` names, if it does."""
        return None if self.weights in ("none", "imagenet") else self.weights


Feature = Annotated[
    TextFeature | CategoricalFeature | DenseFeature | PriceFeature | ImageFeature, Field(discriminator="kind")
]


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
    """The feature of the examples that a model's feature reads: a product field, or its pictures."""
    return feature.column or name


def field_of(name: str, feature: Feature) -> str:
    """The key of ``feed.fields`` that a feature's column comes from."""
    return "image" if isinstance(feature, ImageFeature) else column_of(name, feature)


def weight_files(feature: Feature) -> dict[str, str]:
    """Key of a feature to the file or folder with numbers that it starts from."""
    if isinstance(feature, ImageFeature):
        return {"weights": feature.weights_file} if feature.weights_file else {}
    pretrained = getattr(feature, "pretrained", None)
    return {"pretrained": pretrained} if pretrained else {}


def image_feature(features: Mapping[str, Feature]) -> tuple[str, ImageFeature] | None:
    """The feature that reads pictures, if there is one: no more than one may."""
    return next(((name, one) for name, one in features.items() if isinstance(one, ImageFeature)), None)
