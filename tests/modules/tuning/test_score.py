"""What a trial is worth, beside scikit-learn and the Trainer's own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from modules.examples import MODEL_FACTS
from modules.objectives import MultiLabelObjective
from modules.settings.tuning import with_values
from modules.training.calibration import calibrate
from modules.training.errors import TrainingError
from modules.training.run import train
from modules.tuning.search import SettingsTuner, trial_score
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import SMALL, TRAINING, tiny


def test_micro_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(60, 5)), rng.integers(-1, 2, (60, 5)).astype(float)
    objective = MultiLabelObjective()
    thresholds = calibrate({"o": logits}, {"o": labels}, {"o": objective}).thresholds["o"]
    taken = 1 / (1 + np.exp(-logits)) >= np.array(thresholds)
    known = labels >= 0
    assert objective.score(logits, labels) == pytest.approx(f1_score(labels[known] > 0.5, taken[known]))
    assert objective.score(logits, np.zeros((60, 5))) == 0.0


LINEAR = {
    "model": {"kind": "linear", "embedding_width": 4},
    "objectives": {"exclusive": {"kind": "exclusive"}},
    "training": {"solver": "liblinear", "refit_on_eval": True, "mixed_precision": "off"},
}
"""With refit_on_eval: a trial that learnt the eval split's labels would answer all of them."""


def score_of(built, settings):
    return trial_score(settings, TREE, built.transform, [built.files["train"]], [built.files["eval"]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "search", "good"),
    [
        (LINEAR, {"training.liblinear_c": {"choices": [1e-9, 1.0]}}, 1.0),
        (
            {"model": {"kind": "deep", "hidden": [12]}, "training": {**TRAINING, "epochs": 5}},
            {"training.learning_rate": {"choices": [1e-9, 0.01]}},
            0.01,
        ),
    ],
    ids=["liblinear", "adam"],
)
def test_the_better_value_is_found_and_is_the_trainers_model(built, tmp_path: Path, changes, search, good) -> None:
    settings = tiny(SMALL, **changes, tuning={"trials": 2, "search": search})
    score = score_of(built, settings)
    tuner = SettingsTuner.of(settings, score, tmp_path / "tuner")
    tuner.search(verbose=0)
    (name,) = search
    best, worse = sorted(tuner.done(), key=lambda trial: -trial.score)
    assert best.hyperparameters.values == tuner.get_best_hyperparameters()[0].values == {name: good}
    # Both bounds are far off: the catalogue is learnt, or it is not.
    assert best.score > 0.7 and worse.score < 0.6

    # Trained with these settings, without the trials before it, the model is the very same.
    chosen = with_values(settings, best.hyperparameters.values)
    chosen = chosen.model_copy(update={"training": chosen.training.model_copy(update={"refit_on_eval": False})})
    train(
        chosen, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=str(tmp_path / "model"),
        tuned=best.hyperparameters.values,
    )  # fmt: skip
    found = (
        tf.saved_model.load(str(tmp_path / "model"))
        .signatures["evaluate"](examples=tf.constant(built.raw("eval")))["exclusive/probabilities"]
        .numpy()
    )
    truth = np.array([row["label/exclusive"] for row in built.rows["eval"]])
    hits = found.argmax(axis=1)[truth >= 0] == truth[truth >= 0]
    assert best.score == pytest.approx(hits.mean())
    assert json.loads((tmp_path / "model" / MODEL_FACTS).read_text())["tuned"] == {name: good}


@pytest.mark.slow
def test_trials_are_compared_by_the_objective_that_is_named(built) -> None:
    tuning = {"trials": 1, "objective": "rule_based", "search": {"training.liblinear_c": {"choices": [1.0]}}}
    settings = tiny(SMALL, model=LINEAR["model"], training=LINEAR["training"], tuning=tuning)
    tuner = SettingsTuner.of(settings, score_of(built, settings))
    tuner.search(verbose=0)
    tuner.forget()
    assert tuner.metric == "micro_f1" and tuner.objective_name == "rule_based"
    assert 0.8 < tuner.done()[0].score <= 1.0


def test_an_eval_split_without_labels_compares_nothing(built, tmp_path: Path) -> None:
    settings = tiny(SMALL, **LINEAR, tuning={"search": {"training.liblinear_c": {"choices": [1.0]}}})
    empty = tmp_path / "none.gz"
    with tf.io.TFRecordWriter(str(empty), tf.io.TFRecordOptions(compression_type="GZIP")):
        pass
    with pytest.raises(TrainingError, match="no product of the eval split has a label for exclusive"):
        trial_score(settings, TREE, built.transform, [built.files["train"]], [str(empty)])
