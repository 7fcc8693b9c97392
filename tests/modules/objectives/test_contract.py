"""What every kind of objective promises, tried on all kinds alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import modules.objectives
from modules import examples
from modules.errors import InputError
from modules.losses import loss_named
from modules.objectives import (
    DEFAULT_KIND,
    KINDS,
    ObjectiveKind,
    ancestor_levels,
    kind_by_columns,
    kind_named,
    multi_label_names,
    single_label_names,
)
from modules.objectives.base import LEAST_LABELS, HeadCalibration, ObjectiveSettings
from modules.objectives.class_tables import ClassTables
from modules.taxonomy import Taxonomy

NAME, ROWS, MEMBERS = "o", 40, 3
TREE = Taxonomy.from_paths([("A", "A1"), ("A", "A2"), ("B", "B1")], exclusive="given")
RULE_SHARED_FILES = {"__init__", "ancestors", "base", "class_tables", "schema", "sources"}

settings = pytest.mark.parametrize(
    "objective",
    [
        kind.model_validate({"kind": name, **({"labels": labels} if labels else {})})
        for name, kind in KINDS.items()
        for labels in (("",) if kind.single_label else ("rules", "people"))
    ],
    ids=lambda objective: objective.kind + (":rules" if objective.learns_from_rules else ":people"),
)
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def serialised(objective: ObjectiveSettings, labels: list[tuple[list[int], list[int]] | None]) -> list[bytes]:
    """Examples whose label is (classes, denied classes), or that have none."""
    made = []
    for label in labels:
        classes, denied = label or ([], [])
        features = {key: list(values) for key, values in objective.label_entries(NAME, classes, denied)}
        made.append(
            tf.train.Example(
                features=tf.train.Features(
                    feature={
                        key: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                        for key, values in features.items()
                    }
                )
            ).SerializeToString()
        )
    return made


def targets_of(objective: ObjectiveSettings, labels: list[tuple[list[int], list[int]] | None]) -> np.ndarray:
    parsed = tf.io.parse_example(serialised(objective, labels), objective.label_spec(NAME))
    targets: np.ndarray = objective.targets(NAME, parsed, len(objective.classes(TREE))).numpy()
    return targets


def random_labels(objective: ObjectiveSettings, rng: np.random.Generator) -> list[tuple[list[int], list[int]] | None]:
    """One positive class each, and for kinds that can deny a class, one denied one; every fourth without a label."""
    n = len(objective.classes(TREE))
    first, shift = rng.integers(0, n, ROWS), rng.integers(1, n, ROWS)
    pairs = zip(first.tolist(), ((first + shift) % n).tolist(), strict=True)
    return [None if row % 4 == 3 else ([yes], [no]) for row, (yes, no) in enumerate(pairs)]


def softened(kind: ObjectiveKind, logits: np.ndarray) -> np.ndarray:
    probabilities: np.ndarray = kind.probabilities(tf.constant(logits, tf.float32), HeadCalibration()).numpy()
    return probabilities


def test_every_kind_is_a_file_of_its_name() -> None:
    files = {file.stem for file in Path(str(modules.objectives.__file__)).parent.glob("*.py")}
    assert files - RULE_SHARED_FILES == set(KINDS)
    assert all(kind_named(name) is kind for name, kind in KINDS.items()) and DEFAULT_KIND in KINDS
    with pytest.raises(InputError, match=f"one of {', '.join(KINDS)}"):
        kind_named("ordinal")


def test_names_are_sorted_by_what_a_product_may_have() -> None:
    by_kind = {f"o_{name}": name for name in KINDS}
    assert sorted(single_label_names(by_kind) + multi_label_names(by_kind)) == sorted(by_kind)
    assert all(KINDS[by_kind[name]].single_label for name in single_label_names(by_kind))


@kinds
def test_its_columns_tell_the_kind(kind: ObjectiveKind) -> None:
    name = next(name for name, known in KINDS.items() if known is kind)
    assert kind_by_columns(NAME, ["id", f"{NAME}/category_id", f"{NAME}/{kind.answer_column}"]) == name
    with pytest.raises(InputError, match=kind.answer_column):
        kind_by_columns(NAME, ["id", f"other/{kind.answer_column}"])


@settings
def test_the_settings_for_examples_are_the_same_again(objective: ObjectiveSettings) -> None:
    reduced = objective.for_examples()
    assert reduced.for_examples() == reduced and reduced.learns_from_rules == objective.learns_from_rules
    assert [f.name for f in reduced.schema_features(NAME)] == [f.name for f in objective.schema_features(NAME)]


@settings
def test_the_schema_knows_what_is_parsed(objective: ObjectiveSettings) -> None:
    features = {feature.name for feature in objective.schema_features(NAME)}
    assert {examples.label(NAME), examples.eval_weight(NAME), *objective.label_spec(NAME)} <= features
    assert set(objective.prediction_spec(NAME)) <= features
    assert objective.denied_key(NAME) in {"", *features}
    if not objective.learns_from_rules:
        assert {key for key, _ in objective.label_entries(NAME, [0], [1])} <= features


@settings
def test_labels_become_targets_and_nothing_else_does(objective: ObjectiveSettings) -> None:
    rng = np.random.default_rng(1)
    labels = random_labels(objective, rng)
    targets = targets_of(objective, labels)
    labelled = objective.labelled(targets)
    assert labelled.tolist() == [row for row, label in enumerate(labels) if label is not None]
    assert (np.delete(targets, labelled, axis=0) == -1).all()
    for row in labelled:
        yes = labels[row][0][0]  # type: ignore[index]
        assert targets[row] == yes if targets.ndim == 1 else targets[row, yes] == 1


@settings
def test_each_loss_that_it_takes_heeds_its_labels(objective: ObjectiveSettings) -> None:
    targets = targets_of(objective, random_labels(objective, np.random.default_rng(2)))
    n = len(objective.classes(TREE))
    right = np.where(targets == 1, 6.0, -6.0) if targets.ndim == 2 else 12.0 * np.eye(n)[np.maximum(targets, 0)] - 6.0
    choices = type(objective).model_json_schema()["properties"]["loss"]
    for loss in choices.get("enum") or [choices["const"]]:
        masked = loss_named(loss).keras_loss(objective.model_copy(update={"loss": loss}))
        assert float(masked(targets, right.astype(np.float32))) < float(masked(targets, -right.astype(np.float32)))
    image = objective.image_loss(0.1)
    assert float(image(targets, right.astype(np.float32))) < float(image(targets, -right.astype(np.float32)))


@settings
def test_a_linear_head_learns_what_can_be_learnt(objective: ObjectiveSettings) -> None:
    rng = np.random.default_rng(3)
    targets = targets_of(objective, random_labels(objective, rng))
    rows, n = objective.labelled(targets), len(objective.classes(TREE))
    inputs = np.eye(n)[targets[rows]] if targets.ndim == 1 else (targets[rows] == 1).astype(float)
    levels = ancestor_levels(objective.classes(TREE), TREE)
    weights, bias = objective.fit_linear(inputs.astype(np.float32), targets[rows], n, c=100.0, seed=1, ancestors=levels)
    assert weights.shape == (n, n) and bias.shape == (n,)
    assert objective.score(inputs @ weights + bias, targets[rows]) > 0.95


@settings
def test_calibration_is_what_the_exported_head_uses(objective: ObjectiveSettings) -> None:
    rng = np.random.default_rng(4)
    targets = targets_of(objective, random_labels(objective, rng))
    n = len(objective.classes(TREE))
    logits = rng.normal(size=(ROWS, n)).astype(np.float32)
    for head in (objective.uncalibrated(), objective.calibrated(logits, targets)):
        probabilities = objective.probabilities(tf.constant(logits), head)
        evaluated = objective.evaluated_probabilities(tf.constant(logits), head).numpy()
        best, own = objective.top(probabilities, 2, head)
        assert set(own) == set(objective.head_outputs) and best.shape == (ROWS, 2)
        assert all(value.shape == (ROWS, 2) for value in own.values())
        if head.thresholds is not None:
            # The evaluation's 0.5 is the exported head's threshold.
            np.testing.assert_array_equal(evaluated >= 0.5, probabilities.numpy() >= np.array(head.thresholds))
        else:
            np.testing.assert_array_equal(evaluated, probabilities.numpy())
        assert set(objective.uncertainty(probabilities)) == {"entropy", "margin", "least_confidence"}
    few = np.full_like(targets, -1)
    few[: LEAST_LABELS - 1] = targets[: LEAST_LABELS - 1]
    assert objective.calibrated(logits, few).temperature == objective.uncalibrated().temperature


@settings
def test_a_committee_of_equals_is_each_of_its_members(objective: ObjectiveSettings) -> None:
    rng = np.random.default_rng(5)
    n = len(objective.classes(TREE))
    logits = np.repeat(rng.normal(size=(1, ROWS, n)), MEMBERS, axis=0).astype(np.float32)
    members = objective.member_probabilities(tf.constant(logits))
    equal = [1.0 / MEMBERS] * MEMBERS
    for stacked in (False, True):
        consensus = softened(type(objective), objective.combined_logits(members, equal, stacked).numpy())
        np.testing.assert_allclose(consensus, members[0], atol=1e-5)
    for value in objective.disagreement(members).values():
        np.testing.assert_allclose(value, np.zeros(ROWS), atol=1e-4)
    targets = targets_of(objective, random_labels(objective, rng))
    likely = objective.likelihoods(members.numpy(), targets)
    assert likely.shape[0] == MEMBERS and likely.min() > 0 and likely.max() <= 1
    assert len(objective.stacking_powers(members.numpy(), targets)) == MEMBERS


@settings
def test_predictions_have_its_answers_and_people_can_read_them(objective: ObjectiveSettings) -> None:
    classes = objective.classes(TREE)
    labels: list[Any] = [([0], [1]), None, ([len(classes) - 1], [0])]
    spec = objective.prediction_spec(NAME)
    parsed = tf.io.parse_example(serialised(objective, labels), spec) if spec else {}
    raw = {
        key: (value.values.numpy(), value.row_splits.numpy()) if isinstance(value, tf.RaggedTensor) else value.numpy()
        for key, value in parsed.items()
    }
    outputs = {f"{NAME}/classes": np.array([[0, 1], [1, 0], [len(classes) - 1, 0]])}
    outputs |= {f"{NAME}/{part}": np.array([[1, 0], [0, 0], [1, 0]]) for part in objective.head_outputs}
    columns = objective.prediction_columns(NAME, ClassTables(classes, TREE, classes), raw, outputs)
    answers = pa.chunked_array([columns[f"{NAME}/{objective.answer_column}"]])
    assert len(answers) == len(labels) and all(len(column) == len(labels) for column in columns.values())
    texts = objective.answer_texts(answers, TREE).to_pylist()
    assert classes[0].text in texts[0] and not texts[1] and classes[-1].text in texts[2]
    assert len(objective.answer_values(answers, TREE)) == len(labels)
    if objective.single_label:
        # What the sampler, the reports and the label store read, whatever the kind.
        assert answers.to_pylist() == [0, -1, len(classes) - 1]


@kinds
def test_the_evaluation_adds_up_to_the_same_from_parts(kind: ObjectiveKind) -> None:
    rng = np.random.default_rng(6)
    n = len(kind.classes(TREE))
    scores = softened(kind, rng.normal(size=(ROWS, n)) * 3)
    offsets, values = np.arange(ROWS + 1), rng.integers(0, n, ROWS)
    branches = [[*(a.text for a in TREE.ancestors(c)), c.text] for c in kind.classes(TREE)]

    def counted(part: slice) -> Any:
        rows = scores[part]
        labels = np.arange(len(rows) + 1), values[part]
        counts = kind.empty_counts(n)
        counts.update(kind.facts(labels, None, rows, None, 0.5, 2)[0])
        return counts

    whole, first = counted(slice(None)), counted(slice(0, 15))
    first.merge(counted(slice(15, None)))
    expected, merged = (kind.figures(counts, branches, 0.95, 2) for counts in (whole, first))
    assert kind.main_metric in expected.values and {"example_count", "macro_f1"} <= set(expected.values)
    assert merged.values == pytest.approx(dict(expected.values), nan_ok=True)
    assert expected.values["example_count"] == ROWS
    facts, rows, _ = kind.facts((offsets, values), None, scores, None, 0.5, 2)
    label_rows, label_classes = facts.labels()
    assert rows.tolist() == list(range(ROWS))
    assert label_rows.tolist() == list(range(ROWS)) and label_classes.tolist() == values.tolist()


@kinds
def test_a_question_names_a_category_where_a_product_may_have_several(kind: ObjectiveKind) -> None:
    assert kind.asked_category(None) == ""
    assert kind.asked_category("c") == ("" if kind.single_label else "c")
