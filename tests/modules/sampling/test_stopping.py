"""Whether labelling on is worth it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from modules.objectives import ExclusiveObjective
from modules.predictions.read import PredictionFiles
from modules.sampling.stopping import (
    Round,
    estimate,
    expected_error,
    learning_curve,
    pack_stop_set,
    read_stop_set,
    stability,
    stop_set,
)
from modules.sampling.table import read_table
from modules.settings.sampling import StoppingSettings
from tests.modules.sampling.shop import TREE, write_predictions

CLASSES = ExclusiveObjective().classes(TREE)
RNG = np.random.default_rng(2)


def test_kappa_is_scikit_learns():
    first, second = (RNG.choice(list("abcd"), 300).tolist() for _ in range(2))
    second[:200] = first[:200]
    # A product that only one round knows does not count.
    rounds = [Round(10, 0.1, dict(enumerate(first))), Round(20, 0.1, dict(enumerate(second)) | {300: "d"})]
    assert stability(rounds) == pytest.approx([cohen_kappa_score(first, second)])
    same = [Round(10 * i, 0.1, dict.fromkeys(range(5), "a")) for i in (1, 2)]
    assert stability(same) == [1.0]


def test_the_stop_set_comes_back_and_stays_the_same_when_the_feed_grows(tmp_path, monkeypatch):
    monkeypatch.setattr("modules.sampling.stopping.STOP_SET", 50)
    sets = []
    for name, sizes in {"small": {"train": 200, "test": 30}, "large": {"train": 260, "test": 30}}.items():
        write_predictions(tmp_path / name, sizes)
        table = read_table(PredictionFiles(tmp_path / name), "exclusive")
        found = stop_set(table, CLASSES)
        assert read_stop_set(pack_stop_set(found)) == found
        sets.append(found)
        assert len(found) == 50 and set(found.values()) <= {c.id for c in CLASSES}
    assert len(sets[0].keys() & sets[1].keys()) > 30


def test_expected_error_is_the_unlabelled_train_products(tmp_path):
    write_predictions(tmp_path, {"train": 40, "test": 20}, labelled=10)
    table = read_table(PredictionFiles(tmp_path), "exclusive")
    assert expected_error(table) == pytest.approx(table.scores["least_confidence"][10:40].mean(), rel=1e-6)


def test_the_learning_curve_is_found_again():
    labels = np.array([100, 200, 300, 500, 800])
    found = learning_curve(labels, 0.9 - 3.0 * labels**-0.6, np.full(5, 1000))
    assert found == pytest.approx((0.9, 3.0, 0.6), rel=1e-2)
    assert learning_curve([100, 100, 200, 300], [0.1, 0.2, 0.3, 0.4], [9, 9, 9, 9]) is None


def rounds(labels, accuracy, changed) -> list[Round]:
    """Rounds in which a share of 500 products changes its category each time."""
    prediction = RNG.integers(0, 10, 500)
    found = []
    for number, (n, value) in enumerate(zip(labels, accuracy, strict=True)):
        if number:
            moved = RNG.choice(500, round(changed * 500), replace=False)
            prediction = prediction.copy()
            prediction[moved] = (prediction[moved] + 1) % 10
        found.append(Round(n, 0.2, dict(enumerate(map(str, prediction))), value, 400))
    return found


class TestEstimate:
    settings = StoppingSettings()

    def test_flat_and_stable_is_not_worth_it(self):
        found = estimate(rounds([100, 200, 300, 400, 500], [0.7, 0.802, 0.8, 0.801, 0.8], 0.004), 100, self.settings)
        assert found.worth is False and found.kappa > 0.99 and found.gain < 0.002
        assert found.reasons[0] == "Labelling on is not worth it."

    def test_rising_is_worth_it(self):
        labels = [100, 200, 300, 400]
        found = estimate(rounds(labels, [0.9 - 6 * n**-0.6 for n in labels], 0.2), 100, self.settings)
        expected = 6 * (400**-0.6 - 500**-0.6)
        assert found.worth is True and found.gain == pytest.approx(expected, abs=2e-3)
        assert f"{100 * found.gain:.1f} points" in " ".join(found.reasons)

    def test_unstable_predictions_are_worth_it_without_a_curve(self):
        found = estimate(rounds([100, 200], [0.5, 0.6], 0.3), 100, self.settings)
        assert found.worth is True and found.gain is None

    def test_one_round_says_nothing(self):
        found = estimate(rounds([100], [0.5], 0.0), 100, self.settings)
        assert found.worth is None and found.kappa is None and found.expected_error == 0.2
        assert estimate([], 100, self.settings) is None
        assert estimate(rounds([0], [0.0], 0.0), 100, self.settings) is None

    def test_a_run_again_without_new_labels_is_no_round(self):
        history = rounds([100, 200, 200, 200], [0.5, 0.6, 0.6, 0.6], 0.3)
        same = [*history[:2], *(Round(200, 0.2, history[1].stop_set, 0.6, 400) for _ in range(2))]
        assert estimate(same, 100, self.settings).kappa < 0.9

    def test_rounds_measured_on_few_products_make_no_curve(self):
        some = [Round(r.labels, 0.1, r.stop_set, r.accuracy, 10) for r in rounds([1, 2, 3, 4], [0.1] * 4, 0.5)]
        assert estimate(some, 100, self.settings).gain is None
