"""Model and training: the hyperparameters that are kept with the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modules.settings.base import NotNegative, Positive, Probability, Settings
from modules.settings.image_training import ImageStartSettings, MetricLearningSettings, SelfSupervisedSettings


class ModelSettings(Settings):
    kind: Literal["linear", "lsa", "deep", "wide_deep"] = "wide_deep"
    """``lsa`` (latent semantic analysis): linear heads on the embedding that a truncated SVD finds in all products of
    the train split, labelled or not. The one for few labels: some hundreds in all."""
    text_input: Literal["embedding_bag", "histogram"] = "embedding_bag"
    """How text enters the deep part: the weighted sum of word embeddings, or the words' weights through a dense
    layer of ``hidden[0]`` units (the same sum, but not bottlenecked by each feature's ``width``)."""
    hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = (256,)
    """Widths of the shared layers; the last one is the embedding."""
    activation: Literal["relu", "gelu", "tanh", "selu", "elu"] = "relu"
    dropout: Probability = 0.2
    input_dropout: Probability = 0.0
    """Share of words that are dropped from each text in training."""
    normalization: Literal["none", "batch", "layer"] = "none"
    l2: NotNegative = 0.0
    """Penalty on the squares of all weight matrices and embedding tables, of what a batch has a gradient for."""
    embedding_width: Annotated[int, Field(ge=2, le=4096)] | None = None
    """Width of the embedding of a linear model (a fixed random projection of its input; 128) or of ``lsa`` (512)."""
    joint: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = (256,)
    """With an image feature, of deep models: widths of the layers on top of both towers' embeddings; the last one is
    the joint embedding. Linear models and ``lsa`` take both embeddings side by side."""
    modality_dropout: Probability | None = None
    """With an image feature: share of the products that in training show only their text or only their picture, so
    that the model answers well where one is missing. Default: 0.3, drawn anew in each step; with ``liblinear``, which
    has no steps, 1: each product is learnt from as it is, by its text alone, and by its picture alone."""


class TrainingSettings(Settings):
    solver: Literal["adam", "liblinear"] = "adam"
    """``liblinear`` (linear models only): the exact optimum by dual coordinate descent; minutes faster and more
    accurate with up to some 100,000 labels, held in memory."""
    liblinear_c: Positive = 1.0
    """Of ``liblinear``: inverse strength of the L2 penalty."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    epochs: Annotated[int, Field(ge=1)] = 30
    learning_rate: Positive = 2e-3
    learning_rate_decay: Literal["none", "cosine"] = "cosine"
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without a better eval loss before training stops; 0: never stops early."""
    monitor: Literal["loss", "accuracy"] = "loss"
    """What early stopping watches on the eval split (accuracy: the exclusive objective's)."""
    refit_on_eval: bool = False
    """After the number of epochs is found, train once more on train and eval together. Calibration and thresholds
    are kept from the first fit."""
    clip_norm: Positive | None = 1.0
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    """``auto``: on where there is a GPU."""
    checkpoint: bool = True
    """Keep a checkpoint per epoch, from which a killed run resumes."""
    self_supervised: SelfSupervisedSettings | None = None
    """The image tower first learns, without labels, to tell each picture from all others; null: it does not."""
    image_start: ImageStartSettings | None = None
    """The image tower learns the exclusive categories by itself before the model is fitted. Null: it does for
    ``liblinear``, with the defaults, and does not for ``adam``, which trains all at once."""
    metric_learning: MetricLearningSettings | None = None
    """Embeddings of one exclusive category are pulled together in training: of the joint embedding (``adam``), and
    of the image tower's in ``image_start``; null: by the heads' losses alone."""
