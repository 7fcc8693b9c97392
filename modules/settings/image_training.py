"""How images are changed in training, and how their network starts without labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from modules.settings.backbones import Output
from modules.settings.base import Settings

Scale = tuple[Annotated[int, Field(ge=2, le=32)], Annotated[int, Field(ge=1, le=8)]]
MOST = 32_768
"""Pictures and copies of them in one regression: their kernel alone takes 13 GB."""
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class AugmentationSettings(Settings):
    """Random changes of training images; 0 (or false) leaves one out."""

    flip: bool = True
    """Left to right, every other image."""
    shift: Share = 0.1
    """At most this share of the height and width, in any direction."""
    zoom: Annotated[float, Field(ge=0.0, le=4.0)] = 0.2
    """At most this much closer: 0.2 shows a crop of 1 / 1.2 of height and width."""
    rotation: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Degrees, at most, to either side."""
    brightness: Share = 0.1
    """Brightness is changed by at most this share of its range, up or down."""
    contrast: Share = 0.2
    """Contrast is changed by at most this share, up or down."""
    saturation: Share = 0.2
    """Saturation of colours is changed by at most this share, up or down."""


class DepthSettings(Settings):
    """What of a pretrained network joins the patches: it stays as it is, and the regression reads it at some depths."""

    outputs: Annotated[tuple[Output, ...], Field(min_length=1)] = ("stage4", "stage5", "stage6", "head")
    """The depths: ``stage1`` to ``stage7`` and the last layer, ``head``; each a block of features of equal weight."""
    grid: Annotated[int, Field(ge=1, le=8)] = 2
    """Rows and columns of the cells in which each channel of a stage is averaged, beside its mean over the picture;
    1: that mean alone. Of ``head`` it is always alone."""
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Of the encoder in the regression's kernel; the rest is of the patches, if there are ``scales``."""

    @model_validator(mode="after")
    def _check(self) -> DepthSettings:
        if len(set(self.outputs)) < len(self.outputs):
            raise ValueError("outputs: the same one twice")
        return self


class PatchSettings(Settings):
    """``backbone: patches``: which small patterns are where in a picture, and what they say about its labels.

    Patterns as of Coates, Ng and Lee 2011, without labels; on top of them, in closed form, a linear regression. A
    pretrained encoder, if the feature's ``weights`` name one, gives further features to the same regression."""

    scales: tuple[Scale, ...] = (
        (6, 2),
        (10, 2),
        (14, 2),
    )
    """Side of the patches in pixels, and how many times smaller the picture is made before they are cut out. None
    (``[]``): the encoder alone."""
    stride: Annotated[int, Field(ge=1, le=32)] = 2
    """Pixels of the picture from one patch to the next."""
    patterns: Annotated[int, Field(ge=2, le=4096)] = 512
    """Of each scale: directions of whitened patches that are told apart, found by k-means."""
    threshold: Annotated[float, Field(ge=0.0)] = 0.5
    """Similarity to a pattern that counts as none."""
    cells: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (6, 5)
    """Rows and columns of the grid in whose cells patterns are counted."""
    ridge: Annotated[float, Field(gt=0.0)] = 0.003
    """Penalty of the regression, for features of length 1."""
    pictures: Annotated[int, Field(ge=1, le=MOST)] = 8192
    """At most so many labelled ones are learnt from: memory grows with their square, time faster."""
    copies: Annotated[int, Field(ge=0, le=8)] = 0
    """Of each of them, changed by the feature's ``augmentation``, that are learnt from as well."""
    encoder: DepthSettings = DepthSettings()
    """What the regression reads of the encoder that the feature's ``weights`` name, if they do."""

    @model_validator(mode="after")
    def _check(self) -> PatchSettings:
        if self.pictures * (1 + self.copies) > MOST:
            raise ValueError(f"pictures and their copies may be {MOST:,} at most: lower pictures or copies")
        return self


class SelfSupervisedSettings(Settings):
    """Two random changes of one picture are to be closer than pictures of other products (SimCLR: Chen et al. 2020)."""

    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the pictures of the train split."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Each picture is told from ``2 * (batch_size - 1)`` others."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """Step size of the training at its start."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.2
    """A lower temperature looks more at the pictures that are most alike."""
    projection: Annotated[int, Field(ge=2, le=4096)] = 128
    """Width of the two layers on top of the embedding, which are thrown away afterwards."""
    augmentation: AugmentationSettings = AugmentationSettings(
        shift=0.15, zoom=0.8, rotation=10.0, brightness=0.2, contrast=0.4, saturation=0.6
    )
    """Stronger than in training with labels: what stays the same is what is learnt."""


class ImageStartSettings(Settings):
    """Training of the image tower under a head of its own, on the exclusive objectives' labels."""

    epochs: Annotated[int, Field(ge=0)] = 30
    """0: the tower learns nothing from labels before the model is fitted. With ``self_supervised`` and ``liblinear``
    the embedding is then the one that was found without labels; the heads are fitted on it as it is."""
    small_epochs: Annotated[int, Field(ge=0)] = 20
    """Of these, so many first ones see pictures of 5/8 of the height and width, at less than half of the cost. Only
    with small_cnn: other networks compute by the size that they are built for."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pictures in each step of the training."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    """Step size of the training at its start."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.02
    """How much each step draws the weights towards zero, against overfitting."""
    label_smoothing: Share = 0.1
    """Share of each label that is spread over all categories, so that the network is less sure of itself."""


class MetricLearningSettings(Settings):
    """A loss on embeddings: products of one category near each other, of different ones apart."""

    kind: Literal["supervised_contrastive", "triplet"] = "supervised_contrastive"
    """``supervised_contrastive``: Khosla et al. 2020, equation 2; ``triplet``: all triplets of a batch that break the
    margin (Schroff et al. 2015), by squared distance."""
    weight: Annotated[float, Field(gt=0.0)] = 0.2
    """Of this loss beside the heads'."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.1
    """The temperature of ``supervised_contrastive``; a lower one looks more at the nearest products."""
    margin: Annotated[float, Field(gt=0.0)] = 0.2
    """How much farther than a product of the same category ``triplet`` wants one of another to be."""
