"""The TFMA metric against scikit-learn and against :mod:`modules.metrics`, through whole TFMA runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from modules.metrics import exclusive_metrics, multi_label_metrics
from tests.components import evaluation_data as small

K = len(small.CLASSES)


def _slices(folder: str) -> dict[str, Any]:
    from components.evaluation.reading import read_evaluation

    return {item.name: item for item in read_evaluation(folder)}


def test_exclusive_figures_are_those_of_scikit_learn(evaluation: str, data: small.Data) -> None:
    from components.evaluation.figures import COLUMNS

    overall = _slices(evaluation)["Overall"]
    values, rows = overall.values["exclusive"], data.labels >= 0
    labels, predicted, w = data.labels[rows], data.scores[rows].argmax(axis=1), data.weights[rows].astype(float)
    assert values["example_count"] == rows.sum()
    assert values["weight"] == pytest.approx(w.sum(), rel=1e-6)
    assert values["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted, sample_weight=w), abs=1e-6)
    for average in ("macro", "weighted"):
        expected = oracle.f1_score(labels, predicted, average=average, sample_weight=w, zero_division=0)
        assert values[f"{average}_f1"] == pytest.approx(expected, abs=1e-6)
    columns = dict(zip(COLUMNS, overall.categories["exclusive"], strict=True))
    precision, recall, f1, support = oracle.precision_recall_fscore_support(
        labels, predicted, labels=range(K), sample_weight=w, zero_division=np.nan
    )
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support)):
        np.testing.assert_allclose(columns[name], expected, atol=1e-6)
    for c in range(K):
        if (labels == c).any():
            expected = oracle.roc_auc_score(labels == c, data.scores[rows, c], sample_weight=w)
            assert columns["auc"][c] == pytest.approx(expected, abs=1e-6)
    report = exclusive_metrics(labels, data.scores[rows], w, branches=_branches())
    for name in ("accuracy", "macro_f1", "weighted_f1", "hierarchical_f1"):
        interval = getattr(report, name)
        for end, value in (("", interval.value), ("/lower", interval.lower), ("/upper", interval.upper)):
            assert values[name + end] == pytest.approx(value, abs=1e-6)
    assert values["calibration_error"] == pytest.approx(report.calibration_error, abs=1e-6)
    np.testing.assert_allclose(columns["f1/upper"], report.classes.f1_upper, atol=1e-6)


def _branches() -> list[list[str]]:
    return [["/".join(path.split(" > ")[: d + 1]) for d in range(path.count(">") + 1)] for path in small.PATHS]


def test_multi_label_figures_are_those_of_scikit_learn(evaluation: str, data: small.Data) -> None:
    overall = _slices(evaluation)["Overall"]
    values = overall.values["tags"]
    predicted = data.tag_scores >= 0.5
    for average in ("micro", "macro"):
        expected = oracle.f1_score(data.tags, predicted, average=average, zero_division=np.nan)
        assert values[f"{average}_f1"] == pytest.approx(expected, abs=1e-6)
    assert values["auc"] == pytest.approx(oracle.roc_auc_score(data.tags, data.tag_scores), abs=1e-6)
    assert values["example_count"] == small.N and values["auc_error"] == 0.0
    report = multi_label_metrics(data.tags, data.tag_scores)
    assert values["micro_f1/lower"] == pytest.approx(report.micro_f1.lower, abs=1e-6)


def test_pairs_that_nobody_was_asked_about_are_left_out(evaluation: str, data: small.Data) -> None:
    from components.evaluation.figures import COLUMNS

    overall = _slices(evaluation)["Overall"]
    known, predicted = data.tags | data.denied, data.tag_scores >= 0.5
    expected = oracle.f1_score(data.tags[known], predicted[known])
    assert overall.values["yes_no"]["micro_f1"] == pytest.approx(expected, abs=1e-6)
    assert expected - overall.values["tags"]["micro_f1"] > 0.01
    columns = dict(zip(COLUMNS, overall.categories["yes_no"], strict=True))
    for c in range(K):
        truth, scores = data.tags[known[:, c], c], data.tag_scores[known[:, c], c]
        assert columns["precision"][c] == pytest.approx(oracle.precision_score(truth, scores >= 0.5), abs=1e-6)
        assert columns["auc"][c] == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-6)


def test_a_slice_holds_its_products_and_no_categories(evaluation: str, data: small.Data) -> None:
    slices = _slices(evaluation)
    assert set(slices) == {"Overall", *(f"retailer:shop {r}" for r in range(small.RETAILERS))}
    named = np.arange(small.N) % 10 != 0
    for retailer in range(small.RETAILERS):
        rows = (data.retailers == retailer) & named
        found = slices[f"retailer:shop {retailer}"]
        assert not found.categories and "auc" not in found.values["tags"]
        report = exclusive_metrics(data.labels[rows], data.scores[rows], data.weights[rows], branches=_branches())
        assert found.values["exclusive"]["example_count"] == report.examples
        for name in ("accuracy", "macro_f1", "hierarchical_f1"):
            assert found.values["exclusive"][name + "/upper"] == pytest.approx(getattr(report, name).upper, abs=1e-6)
        micro = multi_label_metrics(data.tags[rows], data.tag_scores[rows]).micro_f1
        assert found.values["tags"]["micro_f1"] == pytest.approx(micro.value, abs=1e-6)


def test_tfma_reads_categories_as_its_own_metrics(evaluation: str) -> None:
    import tensorflow_model_analysis as tfma

    from components.evaluation.figures import COLUMNS

    result = tfma.load_eval_result(evaluation)
    array = dict(zip(COLUMNS, _slices(evaluation)["Overall"].categories["exclusive"], strict=True))
    for c in range(K):
        found = result.get_metrics_for_slice(output_name="exclusive", class_id=c)
        if np.isnan(array["f1"][c]):  # "Hats" has neither labels nor, by chance, predictions
            assert not found
            continue
        for name in ("precision", "recall", "f1", "auc", "support"):
            if np.isfinite(array[name][c]):
                assert found[name]["doubleValue"] == pytest.approx(array[name][c])
            else:
                assert name not in found


@pytest.mark.slow
def test_tfmas_own_extractors_give_the_same(examples: str, evaluation: str, tmp_path: Path) -> None:
    one_by_one = _slices(small.evaluate(examples, small.config(), tmp_path / "out", by_batch=False))["Overall"]
    by_batch = _slices(evaluation)["Overall"]
    for objective in ("exclusive", "tags"):
        np.testing.assert_allclose(one_by_one.categories[objective], by_batch.categories[objective], atol=1e-9)
        for name, value in one_by_one.values[objective].items():
            assert by_batch.values[objective][name] == pytest.approx(value, abs=1e-9)


def _validation(folder: str) -> tuple[bool, dict[str, float]]:
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(folder)
    failures = {
        failure.metric_key.name: failure.metric_value.double_value.value
        for item in result.metric_validations_per_slice
        for failure in item.failures
    }
    return result.validation_ok, failures


def test_categories_below_their_bound_refuse_the_blessing(evaluation: str) -> None:
    blessed, failures = _validation(evaluation)
    # "Shoes > Boots" and the pooled ones; c3, the accuracy and micro-F1 are high enough.
    assert not blessed
    assert failures == {"categories_failed": 2.0}


@pytest.fixture(scope="module")
def models(examples: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A good and a bad model."""
    folder = tmp_path_factory.mktemp("models")
    return small.save_model(folder / "good", "exclusive/probabilities"), small.save_model(folder / "bad", "before")


def _with_models(thresholds: Any, slices: tuple[str, ...] = ()) -> Any:
    from components.evaluation.config import build_eval_config

    return build_eval_config(small.objective_evals(), slices, {"exclusive": thresholds}, signature_name="evaluate")


@pytest.mark.slow
def test_a_better_model_than_the_last_is_blessed(models: tuple[str, str], examples: str, tmp_path: Path) -> None:
    from components.evaluation.objectives import ObjectiveThresholds

    config = _with_models(ObjectiveThresholds(max_drop=0.01, category_max_drop=0.05, accuracy=0.1), ("retailer",))
    both = {"candidate": models[0], "baseline": models[1]}
    assert _validation(small.evaluate(examples, config, tmp_path / "out", models=both)) == (True, {})


@pytest.mark.slow
def test_the_first_model_has_nothing_to_fall_below(
    models: tuple[str, str], examples: str, evaluation: str, tmp_path: Path
) -> None:
    from components.evaluation.objectives import ObjectiveThresholds

    config = _with_models(ObjectiveThresholds(max_drop=0.01, category_max_drop=0.05), ("retailer",))
    folder = small.evaluate(examples, config, tmp_path / "out", models={"candidate": models[0]})
    assert _validation(folder) == (True, {})
    by_model, stored = _slices(folder)["Overall"], _slices(evaluation)["Overall"]
    np.testing.assert_allclose(by_model.categories["exclusive"], stored.categories["exclusive"], atol=1e-9)


@pytest.mark.slow
def test_a_worse_model_than_the_last_is_not(
    models: tuple[str, str], examples: str, data: small.Data, tmp_path: Path
) -> None:
    from components.evaluation.objectives import ObjectiveThresholds
    from components.evaluation.page import overall_views

    config = _with_models(ObjectiveThresholds(max_drop=0.01, category_max_drop=0.05, category_min_support=20))
    folder = small.evaluate(examples, config, tmp_path / "out", models={"candidate": models[1], "baseline": models[0]})
    blessed, failures = _validation(folder)
    assert not blessed and set(failures) == {"accuracy", "categories_worse"}
    rows = data.labels >= 0
    labels, weights = data.labels[rows], data.weights[rows]
    now, before = (exclusive_metrics(labels, scores[rows], weights) for scores in (data.before, data.scores))
    assert failures["accuracy"] == pytest.approx(now.accuracy.value - before.accuracy.value, abs=1e-6)
    enough = now.classes.examples >= 20
    worse = int((now.classes.f1[enough] < before.classes.f1[enough] - 0.05).sum())
    assert worse <= failures["categories_worse"] <= worse + 1  # and the pooled ones
    # The candidate's figures are read and shown, not the baseline's.
    shown = {view["title"]: view["data"] for view in overall_views(folder)}
    figure = shown["exclusive: overall"][0]["metrics"][""][""]["accuracy"]["boundedValue"]["value"]
    assert figure == pytest.approx(now.accuracy.value, abs=1e-6) and "exclusive: plots" in shown
    assert _slices(folder)["Overall"].values["exclusive"]["accuracy"] == pytest.approx(now.accuracy.value, abs=1e-6)


def test_other_metrics_and_slice_sizes_take_tfmas_own_extractors() -> None:
    from components.evaluation.extractors import takes_batches

    assert takes_batches(small.config(("retailer",)))
    with_other = small.config()
    with_other.metrics_specs.add().metrics.add(class_name="ExampleCount")
    assert not takes_batches(with_other)
    counted = small.config()
    counted.options.min_slice_size.value = 10
    assert not takes_batches(counted)
    by_default = small.config()
    by_default.options.ClearField("include_default_metrics")
    assert not takes_batches(by_default)


def test_thresholds_for_what_is_not_there_are_refused() -> None:
    from components.evaluation.objectives import ObjectiveThresholds

    for name, bounds, message in (
        ("colour", ObjectiveThresholds(), "not evaluated: colour"),
        ("exclusive", ObjectiveThresholds(micro_f1=0.5), "no micro_f1"),
        ("tags", ObjectiveThresholds(accuracy=0.5), "no accuracy"),
        ("exclusive", ObjectiveThresholds(category_f1={"Shoe": 0.5}), "'Shoe' is no category"),
    ):
        with pytest.raises(ValueError, match=message):
            small.config(thresholds={name: bounds})


def test_classes_survive_packing_and_stay_small() -> None:
    from components.evaluation.objectives import ObjectiveEval, pack_classes, unpack_classes

    classes = [(f"id-{i}", f"Départment {i % 12} > Group {i % 90} > Category {i}") for i in range(1063)]
    packed = pack_classes(ObjectiveEval("exclusive", "exclusive", classes))
    found, branches = unpack_classes(packed)
    assert found == classes
    assert branches[5] == ["Départment 5", "Départment 5 > Group 5", "Départment 5 > Group 5 > Category 5"]
    # TFMA writes it beside every evaluation.
    assert len(packed) < 20_000
    own = ObjectiveEval("exclusive", "exclusive", classes[:2], branches=[("x", "y"), ("x",)])
    assert unpack_classes(pack_classes(own))[1] == [["x", "y"], ["x"]]


def test_a_model_with_other_outputs_or_classes_is_refused() -> None:
    from components.evaluation.inputs import Batch
    from components.evaluation.measure import Measure
    from components.evaluation.metrics import _Combiner

    measure = Measure("exclusive", "label", "", None, "exclusive/probabilities", "", 0.5, 5, "")
    with pytest.raises(ValueError, match="no output 'exclusive/probabilities'; it has colour"):
        measure.batch(Batch({}, {"colour": np.zeros((2, 3))}, 2))
    batch = Batch({"label": np.array([[1], [0]])}, {"exclusive/probabilities": np.full((2, 3), 1 / 3)}, 2)
    combiner = _Combiner("exclusive", measure, [["a"], ["b"]], 0.95, 1, True)
    with pytest.raises(ValueError, match="has 3 classes, the evaluation was told 2"):
        combiner.add_input(combiner.create_accumulator(), measure.batch(batch))


def test_features_in_every_form_of_tfma() -> None:
    from tensorflow_model_analysis.api import types

    from components.evaluation.inputs import first_values, ragged

    sparse = types.VarLenTensorValue(
        values=np.array([4, 5, 6]), indices=np.array([[0, 0], [0, 1], [2, 0]]), dense_shape=np.array([3, 2])
    )
    offsets, values = ragged(sparse, 3)
    assert offsets.tolist() == [0, 2, 2, 3] and values.tolist() == [4, 5, 6]
    assert first_values(sparse, 3, -1).tolist() == [4, -1, 6]
    assert first_values(np.array([[1], [2]]), 2, -1).tolist() == [1, 2]
    assert ragged(None, 2)[0].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="3 products"):
        ragged(np.zeros((3, 1)), 2)
    with pytest.raises(ValueError, match="cannot be read from list"):
        ragged([1], 1)
