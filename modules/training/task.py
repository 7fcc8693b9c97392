"""What one model is trained on, and where its training says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from modules.features import Feature
from modules.objectives import Objective
from modules.taxonomy import Taxonomy
from modules.training.data import batches

if TYPE_CHECKING:
    import keras

    from modules.models.base import ModelSettings
    from modules.models.build import InputSizes
    from modules.training.image_columns import Embed
    from modules.training.methods.base import Choices

Report = Callable[[int, int, str], None]
"""Called with (epochs done, epochs in all, text)."""


@dataclass(frozen=True)
class Examples:
    """Transformed examples. ``files``: of TFRecords; ``count``: how many they hold."""

    files: Sequence[str]
    count: int


@dataclass(frozen=True)
class TrainingTask:
    """One model's training, whichever way it is trained.

    Attributes:
      features, objectives, model, seed: the settings that the model was built from.
      taxonomy: what the classes lie in.
      sizes: of the inputs and heads.
      losses: objective to its Keras loss.
      train: what is learnt from.
      evaluation: what early stopping watches; None: there is no label to watch, or ``epochs`` is fixed.
      resample: learn from a bootstrap resample of the products, drawn by the seed.
      epochs: a fixed number, without early stopping; None: as the settings say.
      checkpoints: a folder for this training alone, in which a killed one finds its last epoch.
      logs: folder for TensorBoard.
      penalties: objective to the C that an earlier fit of the same model found.
      processes: objective to what such a fit chose for its Gaussian process.
      report: called after each epoch.
      embed_images: how the image feature's pictures are embedded for what learns from them; None: by the tower.
    """

    features: Mapping[str, Feature]
    objectives: Mapping[str, Objective]
    model: ModelSettings
    seed: int
    taxonomy: Taxonomy
    sizes: InputSizes
    losses: Mapping[str, keras.losses.Loss]
    train: Examples
    evaluation: Examples | None = None
    resample: bool = False
    epochs: int | None = None
    checkpoints: Path | None = None
    logs: Path | None = None
    penalties: Mapping[str, float] = field(default_factory=dict)
    processes: Mapping[str, Choices] = field(default_factory=dict)
    report: Report | None = None
    embed_images: Embed | None = None

    @property
    def resample_seed(self) -> int | None:
        """Of the bootstrap resample; None: each product is learnt from once."""
        return self.seed if self.resample else None

    def train_batches(self, batch_size: int) -> tf.data.Dataset:
        """What is learnt from, in another order in each epoch, pictures changed at random."""
        return batches(
            self.train.files, self.features, self.objectives, self.sizes.classes, batch_size=batch_size,
            shuffle_seed=self.seed, resample_seed=self.resample_seed, examples=self.train.count,
            augment_seed=self.seed,
        )  # fmt: skip

    def train_pass(self, batch_size: int) -> tf.data.Dataset:
        """What is learnt from, once, in the order of the files."""
        return batches(
            self.train.files, self.features, self.objectives, self.sizes.classes, batch_size=batch_size,
            resample_seed=self.resample_seed, once=True,
        )  # fmt: skip

    def eval_batches(self, batch_size: int = 512) -> tf.data.Dataset | None:
        """What early stopping watches, for many passes; None: nothing."""
        if self.evaluation is None:
            return None
        return batches(
            self.evaluation.files, self.features, self.objectives, self.sizes.classes, batch_size=batch_size,
            examples=self.evaluation.count,
        )  # fmt: skip

    def picture_batches(self, size: tuple[int, int], batch_size: int, *, once: bool = False) -> tf.data.Dataset:
        """The products that have a picture, with the image feature alone, in random order.

        Args:
          size: height and width that the pictures are brought to.
        """
        alone = {
            name: feature.model_copy(update={"size": size})
            for name, feature in self.features.items()
            if feature.has_tower
        }
        return batches(
            self.train.files, alone, self.objectives, self.sizes.classes, batch_size=batch_size,
            shuffle_seed=self.seed, resample_seed=self.resample_seed, examples=self.train.count, pictured=True,
            once=once,
        )  # fmt: skip
