"""What is accepted of predictions: fitted on audited products alone, and said by every table, sink and document."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from scipy import stats

from modules.errors import InputError
from modules.predictions.acceptance import (
    ACCEPTANCE_FILE,
    Acceptance,
    Audited,
    acceptance_figures,
    fit_acceptance,
    read_acceptance,
    write_acceptance,
)
from modules.predictions.audited import fitted_acceptance
from modules.predictions.export import export
from modules.predictions.read import PredictionFiles, Query
from modules.reporting.acceptance import acceptance_sentences
from modules.settings.acceptance import AcceptanceSettings
from modules.settings.workflow import Workflow
from tests.modules.reporting.sample import taxonomy, write_predictions
from tests.modules.training.catalogue import TREE, raw_example
from tests.modules.training.shared import Built
from tests.publishing.shop import documents

LINEAGES = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("b", "b3")]
HARDNESS = np.array([-3.0, -2.0, -1.0, 0.0, -2.5, 1.0])
"""Per class: the larger, the less a high probability is worth."""


def precision_at(probability: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-(8.0 * probability - 2.0 - HARDNESS[classes])))


def drawn(rng: np.random.Generator, n: int) -> Audited:
    classes = rng.choice(6, n, p=[0.4, 0.25, 0.05, 0.2, 0.06, 0.04])
    probability = rng.random(n).astype(np.float32)
    return Audited(classes, probability, rng.random(n) < precision_at(probability, classes), np.ones(n))


def test_of_500_catalogues_no_more_break_the_precision_than_the_confidence_lets() -> None:
    """Of each pool and of everything that is accepted; categories are differently hard, and some share a threshold."""
    rng = np.random.default_rng(5)
    catalogue = drawn(rng, 60_000)
    truth = precision_at(catalogue.probability, catalogue.predicted)
    settings = AcceptanceSettings(precision=0.9, least_audited=120)
    broken, pools, overall, catalogues = 0, 0, 0, 0
    for _ in range(500):
        fitted = fit_acceptance(drawn(rng, 700), settings, LINEAGES)
        accepted = catalogue.probability >= fitted.thresholds()[catalogue.predicted]
        catalogues += bool(accepted.any())
        overall += bool(accepted.any()) and truth[accepted].mean() < 0.9
        for pool in fitted.pools:
            own = accepted & np.isin(catalogue.predicted, pool.classes)
            if own.any():
                pools += 1
                broken += truth[own].mean() < 0.9
    assert broken <= stats.binom.ppf(0.999, pools, 0.05) and pools > 500
    assert overall <= stats.binom.ppf(0.999, 500, 0.05) and catalogues > 400


def test_a_higher_precision_accepts_a_subset_where_the_pools_are_the_same() -> None:
    audited = drawn(np.random.default_rng(1), 3000)
    thresholds = [
        fit_acceptance(audited, AcceptanceSettings(precision=p, least_audited=200), LINEAGES).thresholds()
        for p in (0.8, 0.9, 0.95, 0.98)
    ]
    for low, high in pairwise(thresholds):
        assert (low <= high).all()
    assert np.isfinite(thresholds[0]).sum() > np.isfinite(thresholds[-1]).sum()


def test_nothing_is_accepted_of_categories_that_nobody_has_taught() -> None:
    audited = Audited(np.tile(np.arange(6), 500), np.full(3000, 0.9, np.float32), np.ones(3000, bool), np.ones(3000))
    thresholds = fit_acceptance(audited, AcceptanceSettings(precision=0.9), LINEAGES, never=[1, 4]).thresholds()
    assert np.isinf(thresholds).tolist() == [False, True, False, False, True, False]


def test_the_file_says_what_was_fitted(tmp_path: Path) -> None:
    fitted = fit_acceptance(drawn(np.random.default_rng(2), 900), AcceptanceSettings(precision=0.9), LINEAGES)
    write_acceptance(str(tmp_path), {"exclusive": fitted})
    assert read_acceptance(tmp_path) == {"exclusive": fitted}
    (tmp_path / ACCEPTANCE_FILE).write_text("{")
    with pytest.raises(InputError, match="expected thresholds as a run writes them"):
        read_acceptance(tmp_path)
    assert read_acceptance(tmp_path / "earlier") == {}


def audit(tmp_path: Path, built: Built, exported: tuple[Workflow, str], weights: list[float]) -> Acceptance:
    """What the model's predictions are accepted by; the eval products stand for the test split."""
    workflow, model = exported
    asked = workflow.objectives["exclusive"].with_acceptance(AcceptanceSettings(precision=0.5, least_audited=1000))
    workflow = workflow.model_copy(update={"objectives": {**workflow.objectives, "exclusive": asked}})
    source = tmp_path / "test.gz"
    with tf.io.TFRecordWriter(str(source), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row, weight in zip(built.rows["eval"], weights, strict=True):
            example = tf.train.Example.FromString(raw_example(row))
            example.features.feature["eval_weight/exclusive"].float_list.value.append(weight)
            writer.write(example.SerializeToString())
    (fitted,) = fitted_acceptance(model, [str(source)], workflow, TREE, TREE).values()
    return fitted


def test_only_products_that_were_drawn_at_random_are_audited(
    tmp_path: Path, built: Built, exported: tuple[Workflow, str]
) -> None:
    rows = built.rows["eval"]
    labelled = [row["label/exclusive"] >= 0 for row in rows]
    none_of_these = labelled.index(False)
    weights = [4.0 if is_labelled and i % 2 else 0.0 for i, is_labelled in enumerate(labelled)]
    fitted = audit(tmp_path, built, exported, weights)
    assert fitted.audited == sum(w > 0 for w in weights)
    assert fitted.picked == sum(labelled) - fitted.audited
    # A product that was drawn, and that people put into none of the categories, was predicted wrongly.
    weights[none_of_these] = 4.0
    again = audit(tmp_path, built, exported, weights)
    assert again.audited == fitted.audited + 1 and again.picked == fitted.picked
    (pool,), (other,) = fitted.pools, again.pools
    assert pool.lower is not None and (other.lower is None or other.lower < pool.lower)


def test_labels_that_a_strategy_picked_accept_nothing_and_words_say_why(
    tmp_path: Path, built: Built, exported: tuple[Workflow, str]
) -> None:
    fitted = audit(tmp_path, built, exported, [0.0] * len(built.rows["eval"]))
    assert np.isinf(fitted.thresholds()).all() and fitted.audited == 0
    predictions = tmp_path / "predictions"
    write_predictions(predictions, {"test": 40}, accepted={"exclusive": [np.inf] * 6})
    figures, _ = acceptance_figures(fitted, PredictionFiles(predictions), "exclusive")
    said = " ".join(acceptance_sentences(figures))
    assert said.startswith("Nothing is accepted at 50% precision.")
    assert f"but {fitted.picked} are labelled that a strategy picked" in said and "sampling.random_share" in said


THRESHOLDS = [0.5, 0.9, np.inf, 0.0, 0.7, 0.6]


def test_every_way_out_says_what_is_accepted(tmp_path: Path) -> None:
    rows = write_predictions(tmp_path / "p", {"train": 40, "test": 20}, accepted={"exclusive": THRESHOLDS})
    expected = [row["exclusive"]["probability"] >= THRESHOLDS[row["exclusive"]["best"]] for row in rows]
    assert 0 < sum(expected) < len(rows)
    files = PredictionFiles(tmp_path / "p")
    stored = [
        ok for some in files.files.values() for f in some for ok in pq.read_table(f)["exclusive/accepted"].to_pylist()
    ]
    assert stored == expected
    export(files, Query(), taxonomy(), tmp_path / "out.csv")
    export(files, Query(), taxonomy(), tmp_path / "out.jsonl")
    with (tmp_path / "out.csv").open(newline="") as stream:
        assert [row["exclusive/accepted"] for row in csv.DictReader(stream)] == [str(ok).lower() for ok in expected]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["exclusive"]["accepted"] for line in lines] == expected
    assert not any("accepted" in line["rule_based"] for line in lines)
    made = [document.values["objectives"] for batch in documents(tmp_path / "p").batches() for document in batch]
    assert [said["exclusive"]["decision"] for said in made] == ["accept" if ok else "review" for ok in expected]
    assert not any("decision" in said["rule_based"] for said in made)


def test_predictions_of_earlier_runs_say_nothing_of_it(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p", {"train": 10})
    export(PredictionFiles(tmp_path / "p"), Query(), taxonomy(), tmp_path / "out.csv")
    assert "accepted" not in (tmp_path / "out.csv").read_text()
    made = [document.values["objectives"] for batch in documents(tmp_path / "p").batches() for document in batch]
    assert made and not any("decision" in said["exclusive"] for said in made)


def test_the_figures_are_those_of_the_table(tmp_path: Path) -> None:
    tree = taxonomy()
    lineages = [[*(a.id for a in tree.ancestors(c)), c.id] for c in tree.exclusive]
    n = 400 * len(lineages)
    classes = np.tile(np.arange(len(lineages)), 400)
    # Of one class nothing is right, so that its pool reaches no precision.
    audited = Audited(classes, np.linspace(0.4, 1.0, n, dtype=np.float32), classes != 2, np.ones(n), picked=7)
    fitted = fit_acceptance(audited, AcceptanceSettings(precision=0.9), lineages)
    rows = write_predictions(tmp_path, {"train": 90, "test": 30}, accepted={"exclusive": fitted.thresholds().tolist()})
    figures, categories = acceptance_figures(fitted, PredictionFiles(tmp_path), "exclusive")
    accepted = [row for row in rows if row["exclusive"]["best"] != 2]
    assert figures["accepted_coverage"] == pytest.approx(len(accepted) / 120) and figures["accepted_audited"] == n
    assert figures["accepted_picked"] == 7 and 0.9 <= figures["accepted_precision_bound"] < 1.0
    assert all(categories[lineage[-1]]["accepted_pool_level"] == len(lineage) for lineage in lineages)
    assert "accepted_threshold" not in categories[lineages[2][-1]]
    assert categories[lineages[2][-1]]["accepted_coverage"] == 0.0
    bound = int(figures["accepted_precision_bound"] * 1000) / 10
    assert acceptance_sentences(figures) == [
        f"Coverage at 90% precision: {len(accepted) / 120:.0%} of the catalogue "
        f"(lower bound of precision {bound}%, {n:,} audited)."
    ]
