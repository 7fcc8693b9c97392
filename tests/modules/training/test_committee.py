"""Committees: what each member weighs, what makes members differ, and the exported graph against NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from modules.examples import MODEL_FACTS
from modules.models.build import build_model
from modules.models.consensus import disagreement, multi_label_disagreement
from modules.objectives import ExclusiveObjective, MultiLabelObjective
from modules.query_strategies import committee as oracle
from modules.training.committee import dropout_members
from modules.training.data import batches
from modules.training.member_weights import eval_loss, member_weights, mixture_weights, odds_powers, stacking_powers
from modules.training.run import input_sizes, train
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import SMALL, TRAINING, class_counts, tiny

RNG = np.random.default_rng(5)


def members(count: int, rows: int, classes: int) -> np.ndarray:
    return softmax(2 * RNG.normal(size=(count, rows, classes)), axis=2).astype(np.float32)


class TestDisagreement:
    def test_exclusive_is_what_the_strategies_compute_from_members(self):
        members = self.mixed()
        found = {name: value.numpy() for name, value in disagreement(tf.constant(members)).items()}
        np.testing.assert_allclose(found["vote_entropy"], oracle.vote_entropy(members), atol=1e-5)
        np.testing.assert_allclose(found["kl_to_consensus"], oracle.kl_to_consensus(members), atol=1e-5)
        np.testing.assert_allclose(found["bald"], oracle.bald(members), atol=1e-5)
        assert found["vote_entropy"][0] == found["bald"][0] == 0.0

    def mixed(self) -> np.ndarray:
        found = members(4, 30, 7)
        found[:, 0] = found[0, 0]  # all of one mind
        return found

    def test_multi_label_is_the_sum_over_categories_of_yes_or_no(self):
        yes = RNG.random((3, 20, 5)).astype(np.float32)
        found = multi_label_disagreement(tf.constant(yes))
        pairs = np.stack([yes, 1 - yes], axis=3).reshape(3, 100, 2)
        for name in ("kl_to_consensus", "bald"):
            expected = getattr(oracle, name)(pairs).reshape(20, 5).sum(axis=1)
            np.testing.assert_allclose(found[name], expected, atol=1e-5)
        shares = (yes >= 0.5).mean(axis=0)
        np.testing.assert_allclose(found["vote_entropy"], entropy([shares, 1 - shares]).sum(axis=1), atol=1e-5)


class TestConsensus:
    def test_average_and_powers(self):
        p, weights = members(3, 10, 4), [0.5, 0.3, 0.2]
        average = softmax(ExclusiveObjective.combined_logits(tf.constant(p), weights, False), axis=1)
        np.testing.assert_allclose(average, np.tensordot(weights, p, 1), atol=1e-5)
        powers = softmax(ExclusiveObjective.combined_logits(tf.constant(p), [1.5, 0.0, 0.4], True), axis=1)
        product = p[0] ** 1.5 * p[2] ** 0.4
        np.testing.assert_allclose(powers, product / product.sum(axis=1, keepdims=True), atol=1e-5)

    def test_independent_categories(self):
        p = RNG.uniform(0.05, 0.95, (2, 10, 4)).astype(np.float32)
        average = tf.sigmoid(MultiLabelObjective.combined_logits(tf.constant(p), [3.0, 1.0], False))
        np.testing.assert_allclose(average, 0.75 * p[0] + 0.25 * p[1], atol=1e-5)
        odds = np.prod([(q / (1 - q)) ** a for q, a in zip(p, (0.7, 0.6), strict=True)], axis=0)
        stacked = tf.sigmoid(MultiLabelObjective.combined_logits(tf.constant(p), [0.7, 0.6], True))
        np.testing.assert_allclose(stacked, odds / (1 + odds), atol=1e-5)


class TestWeights:
    def test_mixture_is_the_most_likely_one(self):
        values = RNG.uniform(0.01, 1, (3, 200)) * np.array([[1.0], [0.8], [0.5]])
        found = np.array(mixture_weights(values, rounds=5000))
        best = minimize(
            lambda w: -np.log(w @ values).mean(), np.full(3, 1 / 3), method="SLSQP", bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-12},
        )  # fmt: skip
        np.testing.assert_allclose(found, best.x, atol=2e-3)

    def test_powers_have_the_least_loss_of_a_grid(self):
        truth = RNG.integers(0, 4, 300)
        logits = np.stack([np.eye(4)[truth] * s + RNG.normal(size=(300, 4)) for s in (2.0, 1.0)])
        p = softmax(logits, axis=2)
        found = stacking_powers(p, truth)

        def loss(a, b):
            return -log_softmax(a * np.log(p[0]) + b * np.log(p[1]), axis=1)[np.arange(300), truth].mean()

        assert loss(*found) <= min(loss(a, b) for a in np.arange(0, 3, 0.1) for b in np.arange(0, 3, 0.1)) + 1e-6

    def test_a_member_that_knows_nothing_gets_nothing(self):
        truth = (RNG.random(500) < 0.5).astype(float)
        knows = np.clip(np.where(truth > 0, 0.8, 0.2) + RNG.normal(0, 0.1, 500), 0.01, 0.99)
        powers = odds_powers(np.stack([knows, RNG.uniform(0.3, 0.7, 500)]), truth)
        assert powers[0] > 1 and powers[1] < 0.5
        assert mixture_weights(np.stack([np.full(50, 0.9), np.full(50, 0.2)]))[0] > 0.99

    def test_too_few_labels_leave_the_members_equal(self):
        labels = np.full(100, -1)
        labels[:19] = 0
        for combine in ("average", "weighted", "stacked"):
            assert member_weights(combine, ExclusiveObjective(), members(2, 100, 3), labels, 20) == [0.5, 0.5]
        assert mixture_weights(np.zeros((4, 0))) == [0.25] * 4 == stacking_powers(np.zeros((4, 0, 3)), labels[:0])

    def test_unlabelled_rows_and_cells_do_not_count(self):
        p, labels = members(2, 60, 3), RNG.integers(-1, 3, 60)
        known = labels >= 0
        alone = member_weights("weighted", ExclusiveObjective(), p[:, known], labels[known], 1)
        assert member_weights("weighted", ExclusiveObjective(), p, labels, 1) == alone
        assert eval_loss(ExclusiveObjective(), p[0], labels) == pytest.approx(
            -np.log(p[0][known, labels[known]]).mean(), rel=1e-5
        )
        pairs = RNG.choice([-1.0, 0.0, 1.0], (60, 3))
        likely = np.where(pairs > 0, p[0], 1 - p[0])[pairs >= 0]
        assert eval_loss(MultiLabelObjective(), p[0], pairs) == pytest.approx(-np.log(likely).mean(), rel=1e-5)
        assert eval_loss(ExclusiveObjective(), p[0], np.full(60, -1)) == 0.0


def test_a_resample_is_a_bootstrap(built):
    settings, counts = tiny(("title", "price")), class_counts()

    def prices(seed):
        data = batches(
            [built.files["train"]], settings.features, settings.objectives, counts, batch_size=500, resample_seed=seed
        )
        return [tuple(row) for inputs, _ in data for row in inputs["price/price"].numpy().tolist()]

    plain, first = prices(None), prices(3)
    assert prices(3) == first != prices(4)
    assert set(first) < set(plain) and len(plain) == 240
    assert abs(len(first) - 240) < 5 * np.sqrt(240)
    # Poisson(1): e^-1 of the products are left out.
    distinct = len(set(plain))
    assert abs(len(set(first)) / distinct - (1 - np.exp(-1))) < 0.2


def test_a_dropout_member_is_the_model_with_units_dropped_for_all_products(built):
    settings = built.settings(
        ("title", "brand"), model={"kind": "deep", "hidden": [16], "dropout": 0.5, "activation": "relu"}
    )
    sizes = input_sizes(settings, built.transform, class_counts())
    model = build_model(settings, sizes)
    found = dropout_members(model, settings, lambda: build_model(settings, sizes), 3)
    inputs = next(
        iter(batches([built.files["eval"]], settings.features, settings.objectives, class_counts(), batch_size=50))
    )[0]
    hidden = keras.Model(model.input, model.get_layer("hidden_0_activation").output)(inputs).numpy()
    whole = model.get_layer("exclusive_deep").get_weights()
    kept = []
    for member in found:
        kernel, bias = member.get_layer("exclusive_deep").get_weights()
        mask = kernel[:, 0] / whole[0][:, 0]
        assert set(np.round(mask, 4)) <= {0.0, 2.0}
        # The same units in both heads.
        other = member.get_layer("rule_based_deep").get_weights()[0]
        np.testing.assert_allclose(other, model.get_layer("rule_based_deep").get_weights()[0] * mask[:, None], 1e-5)
        np.testing.assert_allclose(member(inputs)["exclusive"], (hidden * mask) @ whole[0] + bias, atol=1e-4)
        kept.append(tuple(np.round(mask)))
    assert len(set(kept)) == 3


COMMITTEES = {
    "bootstrap": {"by": "bootstrap", "members": 3, "combine": "average"},
    "dropout": {"by": "dropout", "members": 4, "combine": "stacked"},
    "seeds": {"by": "seeds", "members": 2, "combine": "weighted"},
    "kinds": {
        "by": "kinds", "combine": "weighted",
        "kinds": [{"model": {"kind": "linear"}, "training": {"solver": "liblinear", "mixed_precision": "off"}}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", COMMITTEES)
def test_a_committee_is_exported_as_one_model(built, tmp_path, name):
    settings = tiny(
        SMALL, committee=COMMITTEES[name], model={"kind": "deep", "hidden": [32], "dropout": 0.3},
        training={**TRAINING, "epochs": 8},
    )  # fmt: skip
    files = [built.files["train"]], [built.files["eval"]]
    progress: list[tuple[int, int]] = []
    train(
        settings, TREE, built.transform, *files, output=str(tmp_path),
        report=lambda done, total, text: progress.append((done, total)),
    )  # fmt: skip
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    raw = tf.constant(built.raw("eval"))
    found = {key: value.numpy() for key, value in signatures["serving_default"](examples=raw).items()}
    whole = signatures["evaluate"](examples=raw)["exclusive/probabilities"].numpy()
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found["exclusive/classes"][:, 0], whole.argmax(axis=1))
    for objective in ("exclusive", "rule_based"):
        assert (found[f"{objective}/bald"] >= 0).all() and found[f"{objective}/bald"].max() > 1e-4
        np.testing.assert_allclose(found[f"{objective}/bald"], found[f"{objective}/kl_to_consensus"], atol=1e-4)
        own = found[f"{objective}/members"]
        assert own.shape[:2] == (80, settings.committee.size)
        if COMMITTEES[name]["combine"] == "average" and objective == "rule_based":
            first = found[f"{objective}/probabilities"][:, : own.shape[2]]
            np.testing.assert_allclose(own.mean(axis=1), first, atol=1e-4)
    size = settings.committee.size
    assert found["exclusive/vote_entropy"].max() <= np.log(size) + 1e-5
    truth = np.array([row["truth"] for row in built.rows["eval"]])
    assert (whole.argmax(axis=1) == truth)[2:].mean() > 0.8
    facts = json.loads((Path(tmp_path) / MODEL_FACTS).read_text())["committee"]
    assert facts["by"] == settings.committee.by and len(facts["weights"]["exclusive"]) == size
    trained = 1 if name == "dropout" else size
    assert len(facts["results"]) == trained and progress == sorted(progress) and progress[-1][1] % trained == 0


def test_bumping_keeps_the_member_with_the_least_loss_and_nothing_else(built, tmp_path):
    exclusive = {"exclusive": {"kind": "exclusive"}}
    settings = tiny(
        SMALL, committee={"by": "bootstrap", "members": 3, "combine": "best"}, objectives=exclusive,
        model={"kind": "linear", "embedding_width": 4}, training={"solver": "liblinear", "mixed_precision": "off"},
    )  # fmt: skip
    files = [built.files["train"]], [built.files["eval"]]
    train(settings, TREE, built.transform, *files, output=str(tmp_path / "best"))
    facts = json.loads((tmp_path / "best" / MODEL_FACTS).read_text())
    losses = facts["committee"]["eval_losses"]
    assert facts["committee"]["kept"] == [int(np.argmin(losses))] and len(set(losses)) == 3
    alone = settings.model_copy(update={"committee": None})
    train(alone, TREE, built.transform, *files, output=str(tmp_path / "alone"))
    raw = tf.constant(built.raw("eval"))
    labels = np.array([row["label/exclusive"] for row in built.rows["eval"]])
    reached = {}
    for name in ("best", "alone"):
        found = tf.saved_model.load(str(tmp_path / name)).signatures
        assert not any("bald" in key for key in found["serving_default"].structured_outputs)
        p = found["evaluate"](examples=raw)["exclusive/probabilities"].numpy()
        reached[name] = eval_loss(ExclusiveObjective(), p, labels)
    # The first member has the original sample.
    assert reached["alone"] == pytest.approx(losses[0], abs=1e-4)
    assert reached["best"] == pytest.approx(min(losses), abs=1e-4)
