"""How each column enters the model: Transform, training, serving and the index ask the feature's kind.

A kind is a file of this folder and a line of :data:`Feature`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from modules.examples import DESCRIPTION, GENDER
from modules.features.base import FeatureSettings
from modules.features.categorical import CategoricalFeature
from modules.features.default import TEXTS, text_features
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


OWN_FIELDS = (*TEXTS, GENDER)
"""Fields that a feature reads where the workflow names no features."""


def default_features(fields: Collection[str] = OWN_FIELDS) -> dict[str, Feature]:
    """What reads products of which no more is known than the ``fields`` that they have."""
    features: dict[str, Feature] = {**text_features(fields, long={DESCRIPTION})}
    if GENDER in fields:
        features[GENDER] = CategoricalFeature()
    return features


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
