"""Independent categories, any number per product: sigmoids, a threshold per category, F1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from modules import examples
from modules.errors import Problem
from modules.objectives.base import (
    LEAST_POSITIVES,
    HeadCalibration,
    ObjectiveSettings,
    Ragged,
    SliceFigures,
)
from modules.objectives.sources import RULES, LabelSources
from modules.predictions.columns import ASSIGNED, CLASSES, ENTROPY, GIVEN, LEAST_CONFIDENCE, MARGIN, objective_column
from modules.settings.base import NotNegative, Positive, contradiction
from modules.settings.losses import LossName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from tensorflow_metadata.proto.v0 import schema_pb2

    from modules.arrays import BoolArray, Float32Array, Float64Array, IntpArray
    from modules.losses.base import Matrix
    from modules.objectives.class_tables import ClassTables
    from modules.settings.workflow import Workflow
    from modules.taxonomy import Category, Taxonomy


class MultiLabelObjective(ObjectiveSettings):
    """Independent categories; ``labels: rules`` takes the rules' (with ancestors), ``labels: people`` yes/no labels,
    ``labels: {sources: [...]}`` those of one or several sources."""

    kind: Literal["multi_label"] = "multi_label"
    labels: Literal["rules", "people"] | LabelSources = "rules"
    weight: Positive = 1.0
    """Weight of this objective's loss in the sum of all objectives' losses."""
    loss: Annotated[str, LossName(single_label=False)] = "binary_cross_entropy"
    negative_weight: NotNegative = 1.0
    """Weight of a no: of the categories that no rule (no assignment) gave to a product that it reached, and of those
    that people said no to."""
    unreached: Literal["unknown", "no"] = "unknown"
    """What a product that no rule reached says. Rule labels are only positive, so by default it says nothing: it is
    unlabelled, in training and in the evaluation, and the head is free to find what the rules missed. ``no``: none of
    the categories; the head then copies the rules, their gaps included."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced`` lets the labels of rare categories count for more, so that all categories count alike."""

    single_label: ClassVar[bool] = False
    main_metric: ClassVar[str] = "micro_f1"
    answer_column: ClassVar[str] = ASSIGNED
    membership_column: ClassVar[str] = ASSIGNED
    head_outputs: ClassVar[tuple[str, ...]] = (ASSIGNED,)
    unmeasured: ClassVar[str] = "not measured: no test product has a label"

    @classmethod
    def classes(cls, taxonomy: Taxonomy) -> tuple[Category, ...]:
        return tuple(taxonomy)

    @property
    def learns_from_rules(self) -> bool:
        return self.label_sources.sources == (RULES,)

    @property
    def label_sources(self) -> LabelSources:
        return LabelSources(sources=(self.labels,)) if isinstance(self.labels, str) else self.labels

    def located(self, find: Callable[[str], str]) -> MultiLabelObjective:
        if isinstance(self.labels, str):
            return self
        return self.model_copy(update={"labels": self.labels.located(find)})

    @property
    def unreached_weight(self) -> float:
        # A product that no rule reached has nothing to be measured on, unless it stands for a "no" to everything.
        return 1.0 if self.unreached == "no" else 0.0

    def for_examples(self) -> MultiLabelObjective:
        return MultiLabelObjective(labels=self.labels, unreached=self.unreached)

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.labels == RULES and workflow.rules.file is None:
            yield contradiction(f"{place}.labels", "rules", "a rules.file for it to learn from")

    def schema_features(self, name: str) -> list[schema_pb2.Feature]:
        from modules.objectives.schema import int_feature, source_feature, weight_feature

        features = [int_feature(examples.label(name), 0), weight_feature(name)]
        if not self.learns_from_rules:
            features += [source_feature(name), int_feature(examples.label_no(name), 0)]
            features.append(int_feature(examples.label_rest(name), 0))
        return features

    @classmethod
    def label_entries(cls, name: str, classes: Sequence[int], denied: Sequence[int]) -> list[tuple[str, Sequence[int]]]:
        return [(examples.label(name), classes), (examples.label_no(name), denied)]

    def denied_key(self, name: str) -> str:
        return "" if self.learns_from_rules else examples.label_no(name)

    def label_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        more = [] if self.learns_from_rules else [examples.label_no(name), examples.label_rest(name)]
        keys = [examples.label(name), *more]
        return {key: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for key in keys}

    def targets(self, name: str, parsed: Mapping[str, Any], classes: int) -> Any:
        """(batch, classes): 1 yes, 0 no, -1 unknown."""
        import tensorflow as tf

        positive = _multi_hot(parsed[examples.label(name)], classes)
        if self.learns_from_rules:
            # By default a product that no rule reached is unknown, not "no" everywhere.
            denied = tf.reduce_any(positive, axis=1, keepdims=True) | (self.unreached == "no")
        else:
            denied = _multi_hot(parsed[examples.label_no(name)], classes)
            # Labels that only say yes would teach a yes to everything: what they do not name counts as a no.
            denied |= parsed[examples.label_rest(name)].row_lengths()[:, tf.newaxis] > 0
        return tf.where(positive, 1.0, tf.where(denied, 0.0, -1.0))

    @classmethod
    def labelled(cls, targets: npt.NDArray[Any]) -> IntpArray:
        import numpy as np

        return np.flatnonzero((targets >= 0).any(axis=1))

    @classmethod
    def image_loss(cls, label_smoothing: float) -> Any:
        from modules.losses.binary_cross_entropy import BinaryCrossEntropyLoss

        return BinaryCrossEntropyLoss()

    def fit_linear(
        self, matrix: Matrix, targets: npt.NDArray[Any], classes: int, *, c: float, seed: int,
        ancestors: Sequence[Sequence[int]] = (),
    ) -> tuple[Float32Array, Float32Array]:  # fmt: skip
        from modules.training.heads import fit_multi_label

        return fit_multi_label(matrix, targets, self, c=c, seed=seed)

    def uncalibrated(self) -> HeadCalibration:
        return HeadCalibration()

    def calibrated(
        self, logits: npt.NDArray[Any], targets: npt.NDArray[Any], minimum: int = LEAST_POSITIVES
    ) -> HeadCalibration:
        from modules.metrics.thresholds import fit_thresholds

        thresholds = fit_thresholds(_sigmoid(logits), targets > 0.5, targets >= 0, minimum)
        return HeadCalibration(thresholds=[float(value) for value in thresholds])

    def score(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
        """Micro-F1 with the thresholds that the exported model would have, which are fitted on these products."""
        taken = _sigmoid(logits) >= _thresholds(self.calibrated(logits, targets), logits.shape[-1])
        hits = int((taken & (targets > 0.5)).sum())
        both = int((taken & (targets >= 0)).sum()) + int((targets > 0.5).sum())
        return 2.0 * hits / both if both else 0.0

    @classmethod
    def probabilities(cls, logits: Any, head: HeadCalibration) -> Any:
        import tensorflow as tf

        return tf.sigmoid(logits)

    @classmethod
    def evaluated_probabilities(cls, logits: Any, head: HeadCalibration) -> Any:
        """Shifted so that each category's threshold lies at 0.5."""
        import numpy as np
        import tensorflow as tf

        cut = np.clip(_thresholds(head, logits.shape[-1]), 1e-6, 1.0 - 1e-6)
        return tf.sigmoid(logits - np.log(cut / (1.0 - cut)).astype(np.float32))

    @classmethod
    def top(cls, probabilities: Any, k: int, head: HeadCalibration) -> tuple[Any, dict[str, Any]]:
        """Those over their thresholds first, or a rare category with a low threshold is lost."""
        import tensorflow as tf

        cut = tf.constant(_thresholds(head, probabilities.shape[-1]), tf.float32)
        over = tf.cast(probabilities >= cut, tf.float32)
        indices = tf.math.top_k(probabilities + over, k=k).indices
        return indices, {ASSIGNED: tf.cast(tf.gather(over, indices, batch_dims=1), tf.int32)}

    @classmethod
    def uncertainty(cls, probabilities: Any) -> dict[str, Any]:
        """Summed binary entropies; the least |2p - 1|; 1 - the least max(p, 1 - p)."""
        import tensorflow as tf

        from modules.models.consensus import surprise

        opposite = 1.0 - probabilities
        entropy = tf.reduce_sum(surprise(probabilities) + surprise(opposite), axis=-1)
        margin = tf.reduce_min(tf.abs(2.0 * probabilities - 1.0), axis=-1)
        sure = tf.reduce_min(tf.maximum(probabilities, opposite), axis=-1)
        return {ENTROPY: entropy, MARGIN: margin, LEAST_CONFIDENCE: 1.0 - sure}

    @classmethod
    def member_probabilities(cls, logits: Any, temperatures: Sequence[float] = ()) -> Any:
        import tensorflow as tf

        return tf.sigmoid(logits)

    @classmethod
    def combined_logits(cls, probabilities: Any, weights: Sequence[float], stacked: bool) -> Any:
        """Their sigmoid is the committee's probability."""
        import tensorflow as tf

        from modules.models.consensus import log_of, weighted_mean

        if stacked:
            odds = log_of(probabilities) - log_of(1.0 - probabilities)
            return tf.tensordot(tf.constant(weights, tf.float32), odds, 1)
        mean = weighted_mean(probabilities, weights)
        return log_of(mean) - log_of(1.0 - mean)

    @classmethod
    def disagreement(cls, probabilities: Any) -> dict[str, Any]:
        from modules.models.consensus import multi_label_disagreement

        return multi_label_disagreement(probabilities)

    @classmethod
    def likelihoods(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        import numpy as np

        known = targets >= 0
        cells = probabilities[..., known]
        return np.where(targets[known] > 0.5, cells, 1.0 - cells)

    @classmethod
    def stacking_powers(cls, probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> list[float]:
        import numpy as np

        from modules.training.member_weights import odds_powers

        known = targets >= 0
        return odds_powers(probabilities[:, known], (targets[known] > 0.5).astype(np.int64))

    def prediction_spec(self, name: str) -> dict[str, Any]:
        return self.label_spec(name) if self.learns_from_rules else {}

    def prediction_columns(
        self, name: str, tables: ClassTables, raw: Mapping[str, Any], outputs: Mapping[str, np.ndarray]
    ) -> dict[str, pa.Array]:
        """``assigned``: ids of the categories over their thresholds, ancestors included; ``given``: those by rules."""
        import numpy as np
        import pyarrow as pa

        classes, assigned = outputs[objective_column(name, CLASSES)], outputs[objective_column(name, ASSIGNED)]
        columns = {objective_column(name, ASSIGNED): _with_ancestors(classes.astype(np.int32), assigned, tables)}
        if self.learns_from_rules:
            values, offsets = raw[examples.label(name)]
            given = tables.label_ids.take(pa.array(values))
            columns[objective_column(name, GIVEN)] = pa.ListArray.from_arrays(offsets.astype(np.int32), given)
        return columns

    @classmethod
    def answer_texts(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> pa.Array:
        """The assigned categories' paths, joined."""
        import pyarrow as pa
        import pyarrow.compute as pc

        lists = answers.combine_chunks()
        known = pa.array([category.id for category in taxonomy], pa.string())
        paths = pa.array([category.text for category in taxonomy], pa.string())
        texts = paths.take(pc.index_in(lists.flatten(), value_set=known))
        counts = pc.fill_null(pc.list_value_length(lists), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
        return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), " | ")

    @classmethod
    def answer_values(cls, answers: pa.ChunkedArray, taxonomy: Taxonomy) -> list[Any]:
        values: list[Any] = answers.to_pylist()
        return values

    @classmethod
    def empty_counts(cls, n_classes: int) -> Any:
        from modules.metrics import MultiLabelCounts

        return MultiLabelCounts(n_classes)

    @classmethod
    def facts(
        cls, labels: Ragged, denied: Ragged | None, scores: np.ndarray, weights: np.ndarray | None,
        thresholds: float | np.ndarray, top_k: int,
    ) -> tuple[Any, np.ndarray, np.ndarray]:  # fmt: skip
        import numpy as np

        from modules.metrics import MultiLabelFacts

        known = None
        if denied is not None:
            known = _pairs(labels, scores.shape) | _pairs(denied, scores.shape)
        facts, rows = MultiLabelFacts.of(*labels, scores, weights, thresholds, known)
        return facts, rows, scores if known is None else np.where(known, scores, np.float32(np.nan))

    @classmethod
    def figures(cls, counts: Any, branches: Sequence[Sequence[str]], confidence: float, top_k: int) -> SliceFigures:
        report = counts.report(confidence)
        return SliceFigures(report.figures(), report.classes, counts.sums)


def _multi_hot(indices: Any, classes: int) -> Any:
    """Bool (batch, classes) of a ragged tensor of class indices."""
    import tensorflow as tf

    at = tf.stack([indices.value_rowids(), indices.values], axis=1)
    shape = tf.stack([indices.nrows(), tf.constant(classes, tf.int64)])
    return tf.scatter_nd(at, tf.ones_like(indices.values, tf.int32), shape) > 0


def _sigmoid(logits: npt.NDArray[Any]) -> Float64Array:
    import numpy as np

    probabilities: Float64Array = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    return probabilities


def _thresholds(head: HeadCalibration, classes: int) -> Float64Array:
    import numpy as np

    return np.array(head.thresholds, np.float64) if head.thresholds else np.full(classes, 0.5)


def _with_ancestors(classes: np.ndarray, assigned: np.ndarray, tables: ClassTables) -> pa.Array:
    """Per row the lineages of its assigned classes, the most probable one first, each category once."""
    import numpy as np
    import pyarrow as pa

    rows, places = np.nonzero(assigned)
    lineages = tables.lineage_classes.take(pa.array(classes[rows, places]))
    rows = np.repeat(rows, np.diff(lineages.offsets.to_numpy()))
    members = lineages.flatten().to_numpy(zero_copy_only=False)
    keys = rows * len(tables.classes) + members
    first = np.sort(np.unique(keys, return_index=True)[1])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=len(classes)))]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, tables.ids.take(pa.array(members[first])))


def _pairs(named: Ragged, shape: tuple[int, ...]) -> BoolArray:
    """Bool of ``shape`` (n, n_classes): the pairs of product and class that are named."""
    import numpy as np

    offsets, classes = named
    indicators = np.zeros(shape, bool)
    rows, values = np.repeat(np.arange(shape[0]), np.diff(offsets)), np.asarray(classes, np.int64)
    indicators[rows[values >= 0], values[values >= 0]] = True
    return indicators
