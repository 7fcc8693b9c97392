"""How each column enters the model: Transform, training, serving and the index ask the feature's kind.

A kind is a file of this folder and a line of :data:`Feature`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from modules.examples import RAW_CATEGORY
from modules.features.base import FeatureSettings
from modules.features.categorical import CategoricalFeature
from modules.features.dense import DenseFeature
from modules.features.encoded import EncodedFeature
from modules.features.image import ImageFeature
from modules.features.number import NumberFeature
from modules.features.price import PriceFeature
from modules.features.text import TextFeature
from modules.settings.encodings import Encoding

Feature = Annotated[
    TextFeature | CategoricalFeature | NumberFeature | DenseFeature | PriceFeature | ImageFeature | EncodedFeature,
    Field(discriminator="kind"),
]
"""Any kind, as the workflow file declares it."""


def default_features() -> dict[str, Feature]:
    """The thesis's configuration (its image vector, 2,048 or 1,280 wide, is added where the feed has one)."""
    return {
        "title": TextFeature(vocabulary=8000),
        "brand": CategoricalFeature(vocabulary=5000, width=10),
        "category": CategoricalFeature(column=RAW_CATEGORY, vocabulary=950, width=6),
        "raw_category": TextFeature(vocabulary=1000),
        "description": TextFeature(vocabulary=8000),
        "gender": CategoricalFeature(),
        "size": CategoricalFeature(vocabulary=100),
    }


def without_towers(features: Mapping[str, Feature]) -> dict[str, FeatureSettings]:
    """The features that share one embedding."""
    return {name: feature for name, feature in features.items() if not feature.has_tower}


def embedding_features(features: Mapping[str, Feature]) -> dict[str, FeatureSettings]:
    """The features that are an embedding already, which no training changes."""
    return {name: feature for name, feature in without_towers(features).items() if feature.is_embedding}


def encodings_of(features: Mapping[str, FeatureSettings]) -> dict[str, Encoding]:
    """Feature to what a pretrained encoder has to make of the products for it, of those that want any."""
    wanted = {name: feature.encoding_of(name) for name, feature in features.items()}
    return {name: own for name, own in wanted.items() if own is not None}


def image_feature(features: Mapping[str, Feature]) -> tuple[str, ImageFeature] | None:
    """The feature that reads pictures, if there is one: no more than one may."""
    return next(((name, feature) for name, feature in features.items() if isinstance(feature, ImageFeature)), None)
