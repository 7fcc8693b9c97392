"""What a kind of model answers. Each kind is a file of this folder, and a line of ``modules.models``.

Keras and SciPy are imported where a method needs them, since the settings are read without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from modules.errors import Problem
from modules.features import image_feature
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    import keras
    import numpy as np

    from modules.losses.base import Matrix
    from modules.models.build import Builder
    from modules.models.towers import Joined
    from modules.settings.workflow import Workflow
    from modules.training.design import Design

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Width = Annotated[int, Field(ge=2, le=4096)]
Widths = tuple[Annotated[int, Field(ge=1, le=65536)], ...]

MOST_LABELS = 10_000
"""With more labels products are not compared by their words: that takes a matrix of all pairs of labels."""


class ModelSettings(Settings):
    """One kind of model: its hyperparameters, the layers they stand for, and what trains it."""

    kind: str
    """Each kind says its own, by which the workflow file names it."""

    modality_dropout: Probability | None = None
    """With an image feature: share of the products that in training show only their text or only their picture, so
    that the model answers well where one is missing. Default: 0.3, drawn anew in each step; with ``liblinear``, which
    has no steps, 1: each product is learnt from as it is, by its text alone, and by its picture alone."""

    by_gradient: ClassVar[bool] = False
    """Whether ways of training that descend a gradient can fit it."""
    exact: ClassVar[bool] = False
    """Whether ways of training in closed form can fit it: it has :meth:`head_inputs` and :meth:`set_head`."""
    needs_labels: ClassVar[bool] = True
    """Whether it learns nothing without a label."""
    penalties: ClassVar[tuple[float, ...]] = (1.0, 3.0)
    """In closed form: values of C that cross-validation compares for its heads; of those as good the first wins."""
    chooses: ClassVar[bool] = False
    """Whether it stands for another kind, which Trainer finds by :meth:`chosen` when it has counted the labels."""
    knows_names: ClassVar[bool] = False
    """Whether its heads of one category a product start from what an encoder makes of categories' names."""
    heads_on_embedding: ClassVar[bool] = False
    """Whether its heads read the embedding in unit length, in place of what it is scaled from."""

    @property
    def reads_word_vectors(self) -> bool:
        """Whether it reads what a text feature's encoder makes of word vectors."""
        return False

    @property
    def reads_weights(self) -> bool:
        """Whether it reads the weights of words and n-grams themselves."""
        return True

    @property
    def compares_words(self) -> bool:
        """Whether what it learns in closed form compares products by their words, too, beside the embedding."""
        return False

    @property
    def token_dropout(self) -> float:
        """Share of the tokens that training leaves out of each product."""
        return 0.0

    @property
    def weight_penalty(self) -> float:
        """Strength of the penalty on the squares of its weights, for gradient descent."""
        return 0.0

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.modality_dropout is not None and image_feature(workflow.features) is None:
            expected = "an image feature beside others"
            yield contradiction(f"{place}.modality_dropout", f"{self.modality_dropout:g}", expected)
        training = workflow.training
        for key, reason in training.unheeded.items() if training.trains(type(self)) else ():
            if value := getattr(self, key, None):
                expected = f"0, which training.solver: {training.solver} would not heed: {reason}"
                yield contradiction(f"{place}.{key}", f"{value:g}", expected)

    def chosen(self, labels: int, categories: int, workflow: Workflow) -> tuple[ModelSettings, str]:
        """The kind that is trained, with this many labels in the train split, and why.

        Args:
          categories: how many have one of these labels.
        """
        return self, ""

    def own_embedding(self, builder: Builder, inputs: Mapping[str, Any]) -> Any:
        """What it makes of all features but the picture, before that is scaled to unit length: (batch, width)."""
        raise NotImplementedError

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        """Objective to the parts of its logits, (batch, classes) each, which are added up.

        Args:
          shared: (batch, width), what heads on the embedding read.
          towers: of a model with an image feature.
        """
        raise NotImplementedError

    def unlabelled_share(self, examples: int) -> float:
        """In closed form: share of the products without a label that its embedding is learnt from."""
        return 0.0

    def head_inputs(self, model: keras.Model, design: Design, seed: int) -> Matrix:
        """In closed form: what its heads read, a row per row of the design; sets all weights below the heads."""
        raise NotImplementedError

    def set_head(self, model: keras.Model, objective: str, table: np.ndarray, bias: np.ndarray, design: Design) -> None:
        """In closed form: puts the weights of one objective's head into the model.

        Args:
          table: (inputs, classes), of the columns of :meth:`head_inputs`.
          bias: (classes,).
        """
        raise NotImplementedError


class GradientModelSettings(ModelSettings):
    """A kind whose layers can be trained by gradient descent."""

    input_dropout: Probability = 0.0
    """Share of words that are dropped from each text in training."""
    l2: NotNegative = 0.0
    """Penalty on the squares of all weight matrices and embedding tables, of what a batch has a gradient for."""

    by_gradient: ClassVar[bool] = True

    @property
    def token_dropout(self) -> float:
        return self.input_dropout

    @property
    def weight_penalty(self) -> float:
        return self.l2
