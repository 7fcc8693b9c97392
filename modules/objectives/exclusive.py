"""One category per product: softmax, one temperature, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from modules import examples
from modules.errors import Problem
from modules.objectives.base import (
    LEAST_LABELS,
    LEAST_POSITIVES,
    HeadCalibration,
    ObjectiveSettings,
    Ragged,
    SliceFigures,
)
from modules.objectives.sources import OBJECTIVE, PEOPLE, RULES, LabelSources
from modules.predictions.columns import CATEGORY_ID, ENTROPY, LABEL, LEAST_CONFIDENCE, MARGIN, objective_column
from modules.settings.acceptance import AcceptanceSettings
from modules.settings.base import NotNegative, Positive, Probability, contradiction
from modules.settings.losses import LossName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from tensorflow_metadata.proto.v0 import schema_pb2

    from modules.arrays import Float32Array, IntpArray
    from modules.losses.base import Matrix
    from modules.objectives.class_tables import ClassTables
    from modules.settings.workflow import Workflow
    from modules.taxonomy import Category, Taxonomy


class ExclusiveObjective(ObjectiveSettings):
    """One category out of the taxonomy's exclusive ones; labels come from people."""

    kind: Literal["exclusive"] = "exclusive"
    labels: LabelSources = LabelSources(sources=(PEOPLE,))
    weight: Positive = 1.0
    """Of this objective's loss in the sum."""
    loss: Annotated[str, LossName(single_label=True)] = "cross_entropy"
    """``squared_hinge``: one-versus-rest, as in a linear SVC; strong with few labels per category."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced`` lets the labels of rare categories count for more, so that all categories count alike."""
    label_smoothing: Probability = 0.0
    """Share of each label that is spread over all categories, so that the model is less sure of itself."""
    ancestor_weight: NotNegative = 0.0
    """``liblinear`` only: each ancestor in the taxonomy gets a score of its own, learnt from the labels of all
    categories below it, and adds this much of it to theirs. Worth a try (0.2) with few labels per category."""
    acceptance: AcceptanceSettings | None = None
    """Which predictions are accepted without a look; null: no prediction says."""

    single_label: ClassVar[bool] = True
    main_metric: ClassVar[str] = "accuracy"
    answer_column: ClassVar[str] = LABEL
    membership_column: ClassVar[str] = CATEGORY_ID
    unmeasured: ClassVar[str] = (
        "not measured: no test product has a label that was drawn at random "
        "(source random, or labels.evaluate_imported: true)"
    )

    @classmethod
    def classes(cls, taxonomy: Taxonomy) -> tuple[Category, ...]:
        return tuple(taxonomy.exclusive)

    def for_examples(self) -> ExclusiveObjective:
        return ExclusiveObjective(labels=self.labels)

    @property
    def accepts(self) -> AcceptanceSettings | None:
        return self.acceptance

    def with_acceptance(self, acceptance: AcceptanceSettings | None) -> ExclusiveObjective:
        return self.model_copy(update={"acceptance": acceptance})

    @property
    def label_sources(self) -> LabelSources:
        return self.labels

    def located(self, find: Callable[[str], str]) -> ExclusiveObjective:
        return self.model_copy(update={"labels": self.labels.located(find)})

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        for source in self.labels.sources:
            if source == RULES or source.startswith(OBJECTIVE):
                expected = "people, model, column:NAME or file:PATH, as a product is in one category"
                yield contradiction(f"{place}.labels.sources", source, expected)
        if self.ancestor_weight and not workflow.training.exact:
            expected = f"training.solver: {workflow.solvers(lambda way: way.exact)}, or 0"
            yield contradiction(f"{place}.ancestor_weight", f"{self.ancestor_weight:g}", expected)

    def schema_features(self, name: str) -> list[schema_pb2.Feature]:
        from modules.objectives.schema import always_one, int_feature, source_feature, weight_feature

        label = always_one(int_feature(examples.label(name), examples.UNLABELLED))
        return [label, weight_feature(name), source_feature(name)]

    @classmethod
    def label_entries(cls, name: str, classes: Sequence[int], denied: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
        return [(examples.label(name), classes or (examples.UNLABELLED,))]

    def label_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        return {examples.label(name): tf.io.FixedLenFeature([], tf.int64, examples.UNLABELLED)}

    def targets(self, name: str, parsed: Mapping[str, Any], classes: int) -> Any:
        return parsed[examples.label(name)]

    @classmethod
    def labelled(cls, targets: npt.NDArray[Any]) -> IntpArray:
        import numpy as np

        return np.flatnonzero(targets >= 0)

    @classmethod
    def head_metrics(cls) -> list[Any]:
        from modules.training.masked_metrics import MaskedAccuracy

        return [MaskedAccuracy()]

    @classmethod
    def image_loss(cls, label_smoothing: float) -> Any:
        from modules.losses.cross_entropy import CrossEntropyLoss

        return CrossEntropyLoss(label_smoothing=label_smoothing)

    def fit_linear(
        self, matrix: Matrix, targets: npt.NDArray[Any], classes: int, *, c: float, seed: int,
        ancestors: Sequence[Sequence[int]] = (),
    ) -> tuple[Float32Array, Float32Array]:  # fmt: skip
        from modules.training.heads import fit_exclusive

        return fit_exclusive(matrix, targets, classes, self, c=c, seed=seed, ancestors=ancestors)

    def for_exact_solver(self) -> ExclusiveObjective:
        best = {"loss": "squared_hinge", "ancestor_weight": 0.2}
        fields = type(self).model_fields
        return self.model_copy(update={k: v for k, v in best.items() if getattr(self, k) == fields[k].default})

    def uncalibrated(self) -> HeadCalibration:
        from modules.losses import loss_named

        return HeadCalibration(temperature=loss_named(self.loss).temperature)

    def calibrated(
        self, logits: npt.NDArray[Any], targets: npt.NDArray[Any], minimum: int = LEAST_POSITIVES
    ) -> HeadCalibration:
        from modules.metrics.calibration import fit_temperature

        known = self.labelled(targets)
        if len(known) < LEAST_LABELS:
            return self.uncalibrated()
        return HeadCalibration(temperature=float(fit_temperature(logits[known], targets[known])))

    def score(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
        return float((logits.argmax(axis=1) == targets).mean())

    @classmethod
    def probabilities(cls, logits: Any, head: HeadCalibration) -> Any:
        import tensorflow as tf

        return tf.nn.softmax(logits / (1.0 if head.temperature is None else head.temperature))

    @classmethod
    def top(cls, probabilities: Any, k: int, head: HeadCalibration) -> tuple[Any, dict[str, Any]]:
        import tensorflow as tf

        return tf.math.top_k(probabilities, k=k).indices, {}

    @classmethod
    def uncertainty(cls, probabilities: Any) -> dict[str, Any]:
        """Entropy in nats, margin between the best two, and 1 - the best (Settles 2009, 3.1)."""
        import tensorflow as tf

        from modules.models.consensus import surprise

        best = tf.math.top_k(probabilities, k=min(2, probabilities.shape[-1])).values
        second = best[:, 1] if best.shape[-1] > 1 else tf.zeros_like(best[:, 0])
        entropy = tf.reduce_sum(surprise(probabilities), axis=-1)
        return {ENTROPY: entropy, MARGIN: best[:, 0] - second, LEAST_CONFIDENCE: 1.0 - best[:, 0]}

    @classmethod
    def member_probabilities(cls, logits: Any, temperatures: Sequence[float] = ()) -> Any:
        """Softmax, each member with its own temperature."""
        import tensorflow as tf

        if temperatures:
            logits = logits / tf.reshape(tf.constant(temperatures, tf.float32), [-1, 1, 1])
        return tf.nn.softmax(logits)

    @classmethod
    def combined_logits(cls, probabilities: Any, weights: Sequence[float], stacked: bool) -> Any:
        """Their softmax is the committee's probability."""
        import tensorflow as tf

        from modules.models.consensus import log_of, weighted_mean

        if stacked:
            return tf.tensordot(tf.constant(weights, tf.float32), log_of(probabilities), 1)
        return log_of(weighted_mean(probabilities, weights))

    @classmethod
    def disagreement(cls, probabilities: Any) -> dict[str, Any]:
        from modules.models.consensus import disagreement

        return disagreement(probabilities)

    @classmethod
    def likelihoods(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        import numpy as np

        rows = cls.labelled(targets)
        likely: npt.NDArray[Any] = probabilities[..., rows, targets[rows].astype(np.int64)]
        return likely

    @classmethod
    def stacking_powers(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> list[float]:
        import numpy as np

        from modules.training.member_weights import stacking_powers

        rows = cls.labelled(targets)
        return stacking_powers(probabilities[:, rows], targets[rows].astype(np.int64))

    def prediction_spec(self, name: str) -> dict[str, Any]:
        return self.label_spec(name)

    def label_classes(self, name: str, tables: ClassTables, raw: Mapping[str, Any]) -> npt.NDArray[np.int32]:
        return tables.class_of_label[raw[examples.label(name)]]

    def prediction_columns(
        self, name: str, tables: ClassTables, raw: Mapping[str, Any], outputs: Mapping[str, np.ndarray]
    ) -> dict[str, pa.Array]:
        """``label``: the class index in the model's taxonomy, or -1."""
        import pyarrow as pa

        return {objective_column(name, LABEL): pa.array(self.label_classes(name, tables, raw))}

    @classmethod
    def answer_texts(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> pa.Array:
        """The label's path, null where the product is unlabelled."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pc.if_else(pc.greater_equal(answers, 0), answers, pa.scalar(None, answers.type))
        paths = [category.text for category in cls.classes(taxonomy)]
        return pc.take(pa.array(paths, pa.string()), known.combine_chunks())

    @classmethod
    def answer_values(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> list[Any]:
        values: list[Any] = cls.answer_texts(answers, taxonomy).to_pylist()
        return values

    @classmethod
    def empty_counts(cls, n_classes: int) -> Any:
        from modules.metrics import ExclusiveCounts

        return ExclusiveCounts(n_classes)

    @classmethod
    def facts(
        cls, labels: Ragged, denied: Ragged | None, scores: np.ndarray, weights: np.ndarray | None,
        thresholds: float | np.ndarray, top_k: int,
    ) -> tuple[Any, np.ndarray, np.ndarray]:  # fmt: skip
        import numpy as np

        from modules.metrics import ExclusiveFacts

        offsets, values = labels
        label = np.full(len(scores), -1, np.int64)
        given = np.diff(offsets) > 0
        label[given] = values[offsets[:-1][given]]
        facts, rows = ExclusiveFacts.of(label, scores, weights, top_k)
        return facts, rows, scores

    @classmethod
    def figures(cls, counts: Any, branches: Sequence[Sequence[str]], confidence: float, top_k: int) -> SliceFigures:
        from modules.metrics import Hierarchy

        report = counts.report(Hierarchy(branches), confidence)
        return SliceFigures(report.figures(top_k), report.classes, counts.class_sums(), counts.bins)
