"""What a kind of objective answers. Each kind is a file of this folder, and a line of ``modules.objectives``.

TensorFlow, Keras, NumPy and Arrow are imported where a method needs them, since the settings are read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from modules.settings.base import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from tensorflow_metadata.proto.v0 import schema_pb2

    from modules.arrays import Float32Array, Int64Array, IntpArray
    from modules.losses.base import Matrix
    from modules.objectives.class_tables import ClassTables
    from modules.objectives.sources import LabelSources
    from modules.settings.acceptance import AcceptanceSettings
    from modules.taxonomy import Category, Taxonomy

Ragged: TypeAlias = "tuple[Int64Array, Int64Array]"
"""Class indices of n products: offsets (n + 1,) into the values, and the values."""

LEAST_LABELS = 20
"""With fewer labelled eval products neither a temperature nor the weights of a committee's members are fitted."""

LEAST_POSITIVES = 10
"""Categories with fewer positive eval products share one threshold."""


@dataclass(frozen=True)
class HeadCalibration:
    """What is fitted on the eval split for one objective, and exported with its head.

    Attributes:
      temperature: what the logits are divided by; None: the kind has no temperature.
      thresholds: (classes,) probabilities from which on a category is assigned; None: the kind assigns none.
    """

    temperature: float | None = None
    thresholds: Sequence[float] | None = None


@dataclass(frozen=True)
class SliceFigures:
    """The evaluation of one objective on one slice.

    Attributes:
      values: figure to its value; NaN where there is none. An interval's ends are ``<figure>/lower`` and ``/upper``.
      classes: a ``modules.metrics.ClassReport``. sums: the ``modules.metrics.ClassSums`` that it was made of.
      bins: float64 (3, bins): weight, weighted confidence and weighted hits by confidence; None: the kind has none.
    """

    values: Mapping[str, float]
    classes: Any
    sums: Any
    bins: np.ndarray | None = None


class ObjectiveSettings(Settings):
    """One objective of the model. Its name is its key in the workflow's ``objectives``.

    What a kind answers without its settings is a class method, since the label store and the tables of predictions know
    of an objective no more than its name and kind.
    """

    if TYPE_CHECKING:
        # Each kind declares them itself: a field's place decides where it stands in documents.
        kind: str
        weight: float
        loss: str
        class_weights: str

    single_label: ClassVar[bool]
    """Whether a product is in one category at most. People are then asked for a product's category; otherwise they are
    asked about a product and a category, for yes or no."""

    main_metric: ClassVar[str]
    """The figure that trials are compared by, and whose drop keeps a model from being blessed."""

    answer_column: ClassVar[str]
    """Column of the predictions, after ``<objective>/``, that only this kind has. It tells the kind of a table's
    objectives, so that no two kinds may have the same. Where a product is in one category at most, it holds the class
    index of the product's label, -1 where there is none."""

    membership_column: ClassVar[str]
    """Column of the predictions, after ``<objective>/``, with the ids of the categories that a product is put into."""

    head_outputs: ClassVar[tuple[str, ...]] = ()
    """Outputs of the exported model, after ``<objective>/``, that only this kind has."""

    unmeasured: ClassVar[str]
    """Why an objective has no figures, as a sentence for reports."""

    # Classes and labels

    @classmethod
    def classes(cls, taxonomy: Taxonomy) -> tuple[Category, ...]:
        """The categories that a head's outputs stand for, in order."""
        raise NotImplementedError

    @classmethod
    def asked_category(cls, category: str | None) -> str:
        """The category that an answer's question was about; empty: it was about the product alone."""
        return "" if cls.single_label else category or ""

    @property
    def accepts(self) -> AcceptanceSettings | None:
        """Which of its predictions are accepted without a look; None: nobody asks."""
        return None

    def with_acceptance(self, acceptance: AcceptanceSettings | None) -> ObjectiveSettings:
        """The same settings, but for what is accepted; of a kind that accepts nothing as they are."""
        return self

    @property
    def learns_from_rules(self) -> bool:
        """Whether its labels are what the rules say; otherwise they are people's, or the feed's true categories."""
        return False

    @property
    def label_sources(self) -> LabelSources:
        """Where its labels come from."""
        raise NotImplementedError

    def located(self, find: Callable[[str], str]) -> ObjectiveSettings:
        """The same settings with the full paths of files with labels."""
        raise NotImplementedError

    @property
    def unreached_weight(self) -> float:
        """Weight in the evaluation of a product that no rule reached, of an objective that learns from rules."""
        return 0.0

    def for_examples(self) -> ObjectiveSettings:
        """The settings as far as the examples depend on them."""
        raise NotImplementedError

    def schema_features(self, name: str) -> list[schema_pb2.Feature]:
        """Its features in the schema of the examples (:mod:`modules.examples`)."""
        raise NotImplementedError

    @classmethod
    def label_entries(cls, name: str, classes: Sequence[int], denied: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
        """The int64 features of an example that hold people's label.

        Args:
          classes: indices of the positive classes; none: the product is unlabelled, or denied everything.
          denied: indices of the classes that people said no to.

        Returns:
          Feature name and values.
        """
        raise NotImplementedError

    def denied_key(self, name: str) -> str:
        """The feature with the classes that the truth denies; empty: whatever is no label is a no."""
        return ""

    # Training

    def label_spec(self, name: str) -> dict[str, Any]:
        """How its labels are parsed from an example."""
        raise NotImplementedError

    def targets(self, name: str, parsed: Mapping[str, Any], classes: int) -> Any:
        """What the losses take, a tensor out of parsed labels; -1 is unknown.

        Args:
          classes: how many there are.
        """
        raise NotImplementedError

    @classmethod
    def labelled(cls, targets: npt.NDArray[Any]) -> IntpArray:
        """The rows of :meth:`targets` that have a label."""
        raise NotImplementedError

    @classmethod
    def head_metrics(cls) -> list[Any]:
        """Keras metrics of a head beside its loss."""
        return []

    @classmethod
    def image_loss(cls, label_smoothing: float) -> Any:
        """The Keras loss by which an image tower learns it ahead of the model."""
        raise NotImplementedError

    def fit_linear(
        self, matrix: Matrix, targets: npt.NDArray[Any], classes: int, *, c: float, seed: int,
        ancestors: Sequence[Sequence[int]] = (),
    ) -> tuple[Float32Array, Float32Array]:  # fmt: skip
        """A linear head at the exact optimum of its loss with an L2 penalty.

        Args:
          matrix: shape (n, inputs).
          targets: of the same rows, all of them labelled.
          c: inverse strength of the penalty.
          seed: of the solver's order of rows.
          ancestors: :func:`modules.objectives.ancestor_levels` of the classes.

        Returns:
          Weights (inputs, classes) and biases (classes,).
        """
        raise NotImplementedError

    # Calibration

    def for_exact_solver(self) -> ObjectiveSettings:
        """With the loss that does best in closed form, unless the workflow names another than the default."""
        return self

    def uncalibrated(self) -> HeadCalibration:
        """What holds without labelled eval products."""
        raise NotImplementedError

    def calibrated(
        self, logits: npt.NDArray[Any], targets: npt.NDArray[Any], minimum: int = LEAST_POSITIVES
    ) -> HeadCalibration:
        """Fits what makes the scores mean something.

        Args:
          logits: of the eval split, (rows, classes).
          targets: of the same rows.
          minimum: categories with fewer positive products share what is fitted.
        """
        raise NotImplementedError

    def score(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
        """:attr:`main_metric` of labelled products; logits (rows, classes)."""
        raise NotImplementedError

    # The exported model: TensorFlow, (batch, classes) each unless something else is said

    @classmethod
    def probabilities(cls, logits: Any, head: HeadCalibration) -> Any:
        """Calibrated probabilities."""
        raise NotImplementedError

    @classmethod
    def evaluated_probabilities(cls, logits: Any, head: HeadCalibration) -> Any:
        """The probabilities that the evaluation measures, which knows no thresholds: 0.5 stands for each of them."""
        return cls.probabilities(logits, head)

    @classmethod
    def top(cls, probabilities: Any, k: int, head: HeadCalibration) -> tuple[Any, dict[str, Any]]:
        """The best ``k`` classes, int32 (batch, k), and the values of :attr:`head_outputs`."""
        raise NotImplementedError

    @classmethod
    def uncertainty(cls, probabilities: Any) -> dict[str, Any]:
        """``entropy`` in nats, ``margin`` and ``least_confidence``; float32 (batch,) each."""
        raise NotImplementedError

    # Committees

    @classmethod
    def member_probabilities(cls, logits: Any, temperatures: Sequence[float] = ()) -> Any:
        """Each member's own, from logits of the same shape, (members, batch, classes)."""
        raise NotImplementedError

    @classmethod
    def combined_logits(cls, probabilities: Any, weights: Sequence[float], stacked: bool) -> Any:
        """Logits (batch, classes) of a committee.

        Args:
          probabilities: (members, batch, classes).
          weights: of the members.
          stacked: weights are powers of the members' probabilities (odds, of independent categories), not factors.
        """
        raise NotImplementedError

    @classmethod
    def disagreement(cls, probabilities: Any) -> dict[str, Any]:
        """``vote_entropy``, ``kl_to_consensus`` and ``bald`` of (members, batch, classes); float32 (batch,) each."""
        raise NotImplementedError

    @classmethod
    def likelihoods(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The probability of every known label.

        Args:
          probabilities: (..., rows, classes).
          targets: of the same rows.

        Returns:
          (..., known labels).
        """
        raise NotImplementedError

    @classmethod
    def stacking_powers(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> list[float]:
        """Powers of the members' probabilities (or odds) under whose product the labels are most likely.

        Args:
          probabilities: (members, rows, classes).
          targets: of the same rows.
        """
        raise NotImplementedError

    # Predictions

    def prediction_spec(self, name: str) -> dict[str, Any]:
        """How the labels are parsed that stand beside a prediction."""
        return {}

    def prediction_columns(
        self, name: str, tables: ClassTables, raw: Mapping[str, Any], outputs: Mapping[str, np.ndarray]
    ) -> dict[str, pa.Array]:
        """Its columns of a table of predictions that only this kind has, :attr:`answer_column` among them.

        Args:
          raw: the parsed example, by :meth:`prediction_spec`.
          outputs: of the model, for the same products.
        """
        raise NotImplementedError

    def label_classes(self, name: str, tables: ClassTables, raw: Mapping[str, Any]) -> npt.NDArray[np.int32]:
        """The model's class of each product's label, -1 where there is none; of kinds that :attr:`accepts` is for.

        Args:
          raw: the parsed example, by :meth:`prediction_spec`.
        """
        raise NotImplementedError

    @classmethod
    def answer_texts(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> pa.Array:
        """:attr:`answer_column` as text for people: category paths."""
        raise NotImplementedError

    @classmethod
    def answer_values(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> list[Any]:
        """:attr:`answer_column` as values of a JSON object."""
        raise NotImplementedError

    # Evaluation: what TFMA's metric adds up

    @classmethod
    def empty_counts(cls, n_classes: int) -> Any:
        """Sums over no product yet, with ``update(facts)``, ``merge(counts)`` and ``n_classes``."""
        raise NotImplementedError

    @classmethod
    def facts(
        cls, labels: Ragged, denied: Ragged | None, scores: np.ndarray, weights: np.ndarray | None,
        thresholds: float | np.ndarray, top_k: int,
    ) -> tuple[Any, np.ndarray, np.ndarray]:  # fmt: skip
        """What a batch tells.

        Args:
          denied: classes that the truth denies; None: whatever is no label is a no.
          scores: probabilities (n, classes).
          weights: (n,); None: all are one.
          thresholds: from which on a class is predicted.
          top_k: among how many classes a label may be.

        Returns:
          Facts for :meth:`empty_counts`, the rows that they are of, and the scores with NaN where nothing is known.
        """
        raise NotImplementedError

    @classmethod
    def figures(cls, counts: Any, branches: Sequence[Sequence[str]], confidence: float, top_k: int) -> SliceFigures:
        """The figures of a slice.

        Args:
          branches: per class the nodes from the root down to itself.
          confidence: of the intervals.
        """
        raise NotImplementedError
