"""A learner that knows categories' names: its first batch, and that no campaign sees another's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.campaigns import run
from experiments.catalogue import LabelledCatalogue, catalogue_of
from experiments.learners import ExactLearner, Learner, memory_learner
from experiments.play import Game
from modules.models import auto
from modules.query_strategies import Pool, strategy
from modules.settings.workflow import Workflow
from tests.encoders import tiny_encoder
from tests.experiments.test_label_efficiency import WORKFLOW, feed, of_strategies, rows

pytestmark = pytest.mark.slow

SETTINGS: dict[str, Any] = {"seeds": 1, "budget": 20, "targets": {}}


@pytest.fixture(scope="module")
def catalogue() -> LabelledCatalogue:
    return catalogue_of(feed(120), minimum=10)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    encoder = str(tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny"))
    meaning = {"kind": "encoded", "encoder": encoder, "column": "title", "width": 16}
    return changed(features={"title": {"kind": "text", "vocabulary": 200}, "meaning": meaning})


def changed(**sections: Any) -> Workflow:
    settings = WORKFLOW.model_dump(mode="json", include={"name", "feed", "taxonomy", "objectives"})
    model = {"model": {"kind": "gaussian_process", "embedding_width": 16}, "training": {"solver": "liblinear"}}
    return Workflow.model_validate({**settings, **model, **sections})


class Recorder:
    """A strategy that keeps what it was shown."""

    kind = "recorder"

    def __init__(self) -> None:
        self.pools: list[Pool] = []

    def query(self, pool: Pool, n: int, rng: np.random.Generator) -> Any:
        self.pools.append(pool)
        return strategy("random" if pool.probabilities is None else "margin").query(pool, n, rng)


def game_of(learner: Learner, catalogue: LabelledCatalogue, chosen: Any, temperature: float = 1.0) -> Game:
    pool, held_out = catalogue.held_out(0.2, 1)
    return Game(catalogue, learner, pool, held_out, chosen, 3, temperature)


def test_the_first_batch_is_picked_by_what_names_say(catalogue: LabelledCatalogue, workflow: Workflow) -> None:
    pool, _ = catalogue.held_out(0.2, 1)
    learner = memory_learner(workflow, catalogue, pool)
    assert learner.informed
    recorder = Recorder()
    game = game_of(learner, catalogue, recorder)
    game.resume([])
    before = learner.logits(pool)
    first = game.next_round(10)
    [shown] = recorder.pools
    assert shown.probabilities is not None and (shown.labels == -1).all()
    np.testing.assert_array_equal(shown.probabilities.argmax(axis=1), before.argmax(axis=1))
    # The least sure ones by what names say, worked out here.
    ranked = np.sort(shown.probabilities, axis=1)
    surest = (ranked[:, -1] - ranked[:, -2]).argsort(kind="stable")[:10]
    assert {catalogue.products[row].id for row in pool[surest]} == set(first.picked)
    # Without an encoder nothing is known before the first label.
    plain = memory_learner(changed(features={"title": {"kind": "text", "vocabulary": 200}},
                                   model={"kind": "lsa", "embedding_width": 16}), catalogue, pool)  # fmt: skip
    assert not plain.informed
    unknowing = Recorder()
    game = game_of(plain, catalogue, unknowing)
    game.resume([])
    game.next_round(10)
    assert unknowing.pools[0].probabilities is None


def test_a_campaign_knows_nothing_of_the_one_before(
    catalogue: LabelledCatalogue, workflow: Workflow, tmp_path: Path
) -> None:
    run(of_strategies(catalogue, ["random", "margin"], workflow, **SETTINGS), tmp_path / "both")
    run(of_strategies(catalogue, ["margin"], workflow, **SETTINGS), tmp_path / "alone")
    after = [row for row in rows(tmp_path / "both") if row["strategy"] == "margin"]
    assert after == rows(tmp_path / "alone") and [row["labels"] for row in after] == [0, 10, 20]
    # The first round says what is known before any label.
    pool, held_out = catalogue.held_out(0.2, 1)
    ranked = memory_learner(workflow, catalogue, pool).logits(held_out).argsort(axis=1)[:, ::-1]
    right = ranked == catalogue.truth[held_out][:, None]
    assert after[0]["accuracy"] == pytest.approx(right[:, 0].mean()) and after[0]["picked"] == []
    assert after[0]["top_5_accuracy"] == pytest.approx(right[:, :5].any(axis=1).mean())


KINDS: dict[str, dict[str, Any]] = {
    "chosen by the labels": {"model": {"kind": "auto", "embedding_width": 16}},
    "by gradient": {"model": {"kind": "deep", "hidden": [8]}, "training": {
        "solver": "adam", "epochs": 2, "learning_rate": 0.05, "mixed_precision": "off"}},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_its_first_batch_sees_no_embedding_that_others_labels_made(
    catalogue: LabelledCatalogue, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # So that the campaign before ends with another kind of model than it began with.
    monkeypatch.setattr(auto, "FEW_LABELS", 15)
    monkeypatch.setattr(auto, "MANY_LABELS", 15)
    pool, _ = catalogue.held_out(0.2, 1)
    learner = memory_learner(
        changed(features={"title": {"kind": "text", "vocabulary": 200}}, **KINDS[kind]), catalogue, pool
    )
    fresh = learner.embeddings(pool)
    game = game_of(learner, catalogue, strategy("random"))
    game.resume([])
    game.next_round(20)
    assert learner.embeddings(pool).shape != fresh.shape or np.abs(learner.embeddings(pool) - fresh).max() > 1e-3
    recorder = Recorder()
    second = game_of(learner, catalogue, recorder)
    second.resume([])
    assert second.fitted == learner.informed == (kind == "chosen by the labels")
    np.testing.assert_allclose(learner.embeddings(pool), fresh, atol=1e-6)


def test_it_compares_words_when_there_are_labels_enough(
    catalogue: LabelledCatalogue, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "WORDS_FROM", 40)
    pool, held_out = catalogue.held_out(0.2, 1)
    chosen = workflow.model_copy(update={"model": auto.AutoModel(embedding_width=2)})
    learner = memory_learner(chosen, catalogue, pool)
    assert isinstance(learner, ExactLearner)
    accuracies = []
    for count, compares in ((39, False), (40, True), (39, False)):
        learner.fit(pool[:count], catalogue.truth[pool[:count]], 3)
        assert learner.settings.compares_words == compares == (learner.words is not None)
        accuracies.append((learner.logits(held_out).argmax(axis=1) == catalogue.truth[held_out]).mean())
    assert learner.process is not None and learner.process.words is None
    assert accuracies[1] > accuracies[0] == accuracies[2]
