"""Batches out of written predictions."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelling.batches.artifact import read_batch
from modules.errors import InputError
from modules.feeds.ids import LabelIds
from modules.objectives import ExclusiveObjective, MultiLabelObjective
from modules.predictions.read import PredictionFiles
from modules.query_strategies import MissingInput
from modules.query_strategies.badge import BADGE
from modules.query_strategies.bald import BALD
from modules.query_strategies.batch_bald import BatchBALD
from modules.query_strategies.combined import Combined
from modules.query_strategies.expected_gradient_length import ExpectedGradientLength
from modules.query_strategies.margin import Margin
from modules.query_strategies.value_weighted import ValueWeighted
from modules.sampling.asked import AskedQuestions, read_asked
from modules.sampling.batch import next_batch
from modules.sampling.random_share import systematic
from modules.sampling.table import read_table
from modules.sampling.write import write_batches
from modules.settings.sampling import SamplingSettings
from tests.modules.sampling.shop import TREE, write_predictions

SIZES = {"train": 300, "eval": 40, "test": 60}
KINDS = {"exclusive": "exclusive", "rule_based": "multi_label"}
CLASSES = {
    "exclusive": ExclusiveObjective(kind="exclusive").classes(TREE),
    "rule_based": MultiLabelObjective(kind="multi_label").classes(TREE),
}


@pytest.fixture(scope="module")
def predictions(tmp_path_factory) -> tuple[PredictionFiles, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("predictions")
    written = write_predictions(folder, SIZES)
    return PredictionFiles(folder), written


def batch(files, objective="exclusive", asked=AskedQuestions(), seed=7, members=0, all_classes=None, **given):  # noqa: B008
    sampling = SamplingSettings(**{"size": 40, "strategy": Margin(), **given})
    table = read_table(files, objective, members)
    return next_batch(
        objective, objective == "exclusive", table, asked, CLASSES[objective], TREE, sampling, seed, all_classes
    )  # fmt: skip


def test_the_table_is_what_was_written(predictions):
    files, written = predictions
    table = read_table(files, "exclusive")
    assert table.ids.to_pylist() == [f"{split}-{i}" for split, n in SIZES.items() for i in range(n)]
    dense = np.vstack(list(written.values()))
    expected = np.sort(dense, axis=1)[:, ::-1][:, :4]
    np.testing.assert_allclose(np.asarray(table.probabilities, float), expected, atol=1e-3)
    np.testing.assert_array_equal(table.classes, np.argsort(-dense, axis=1)[:, :4])
    np.testing.assert_allclose(table.scores["margin"], expected[:, 0] - expected[:, 1], atol=1e-6)
    assert table.rows_of(["eval-1", "nobody", "train-0"]).tolist() == [0, 301]


def test_chosen_picks_are_the_least_margins_of_the_train_split(predictions):
    files, written = predictions
    found = batch(files, random_share=0.0, first_random_share=0.0)
    ranked = np.sort(written["train"], axis=1)[:, ::-1]
    margins = ranked[:, 0] - ranked[:, 1]
    margins[:10] = np.inf  # labelled
    assert [pick.product_id for pick in found.picks] == [f"train-{i}" for i in np.argsort(margins)[:40]]
    assert [pick.rank for pick in found.picks] == list(range(40))
    first = found.picks[0]
    assert first.utility == pytest.approx(1 - margins.min(), abs=1e-6)
    own = written["train"][int(first.product_id.split("-")[1])]
    best = np.argsort(-own)[:4]
    assert [c for c, _ in first.suggestions] == [TREE.exclusive[i].id for i in best]
    np.testing.assert_allclose([p for _, p in first.suggestions], own[best], atol=1e-3)
    assert found.facts["pool"] == 290 and found.facts["labelled"] == 10 and found.facts["strategy"] == "margin"


def test_the_random_share_is_of_all_splits_with_its_probability(predictions):
    files, _ = predictions
    found = batch(files, size=100, random_share=0.1, first_random_share=0.3, first_labels=50)
    drawn = [pick for pick in found.picks if pick.source == "random"]
    assert len(drawn) == found.facts["random"] == 30 and len(found.picks) == 100
    assert {pick.inclusion_probability for pick in drawn} == {30 / (400 - 30)}
    assert len({pick.split for pick in drawn}) == 3
    assert all(pick.inclusion_probability is None for pick in found.picks if pick.source != "random")
    assert all(pick.split == "train" for pick in found.picks if pick.source != "random")
    # In the ranking they are mixed.
    ranks = [pick.rank for pick in drawn]
    assert min(ranks) < 20 and max(ranks) > 80
    later = batch(files, asked=AskedQuestions(random=50), size=100, first_random_share=0.3, first_labels=50)
    assert later.facts["random"] == 10


def test_nobody_is_asked_twice_and_a_round_differs_from_the_last(predictions):
    files, _ = predictions
    asked: frozenset[tuple[str, str]] = frozenset()
    seen: list[str] = []
    for number in range(1, 12):
        found = batch(files, asked=AskedQuestions(asked, batches=frozenset(map(str, range(number - 1)))))
        seen += [pick.product_id for pick in found.picks]
        asked |= {(pick.product_id, "") for pick in found.picks}
        assert found.facts["round"] == number
    assert max(Counter(seen).values()) == 1
    assert not {f"{split}-{i}" for split in SIZES for i in range(10)} & set(seen)
    # Everybody was asked but those whom only chance would have found in the other splits.
    assert {f"train-{i}" for i in range(10, 300)} <= set(seen)


def test_before_the_first_label_no_category_is_suggested(predictions):
    files, _ = predictions
    table = read_table(files, "exclusive", 0)
    unlabelled = dataclasses.replace(table, labels=np.full(len(table.labels), -1))
    for pool, suggests in ((table, True), (unlabelled, False)):
        picked = next_batch(
            "exclusive", True, pool, AskedQuestions(), CLASSES["exclusive"], TREE,
            SamplingSettings(size=10, strategy=Margin()), 7,
        )  # fmt: skip
        assert len(picked.picks) == 10 and all(bool(pick.suggestions) == suggests for pick in picked.picks)


def test_before_the_first_label_names_give_suggestions_that_say_so(predictions, tmp_path):
    files, _ = predictions
    table = read_table(files, "exclusive", 0)
    named = dataclasses.replace(table, labels=np.full(len(table.labels), -1), guessed=frozenset({0, 2, 3}))
    picked = next_batch(
        "exclusive", True, named, AskedQuestions(), CLASSES["exclusive"], TREE,
        SamplingSettings(size=10, strategy=Margin()), 7,
    )  # fmt: skip
    write_batches(str(tmp_path), [picked], {"model": "m"}, {})
    [read] = read_batch(tmp_path, "b")
    ids, guessed = table.ids.to_pylist(), {TREE.exclusive[i].id for i in (0, 2, 3)}
    for item in read.items:
        row = ids.index(item.product_id)
        assert [category for category, *_ in item.suggestions] == [TREE.exclusive[i].id for i in table.classes[row]]
        assert all((source == ["names"]) == (category in guessed) for category, _, *source in item.suggestions)
        likely = [probability for _, probability, *_ in item.suggestions]
        np.testing.assert_allclose(likely, table.probabilities[row], atol=1e-6)
        assert likely == sorted(likely, reverse=True) and likely[0] > likely[-1]


def test_the_default_strategy_picks_the_first_batch_by_what_names_say(predictions):
    files, _ = predictions
    table = read_table(files, "exclusive", 0)
    unlabelled = dataclasses.replace(table, labels=np.full(len(table.labels), -1), guessed=frozenset(range(5)))
    same = np.zeros_like(table.scores["margin"])
    uniform = dataclasses.replace(
        unlabelled, scores=table.scores | {"margin": same}, probabilities=np.full_like(table.probabilities, 0.2)
    )
    informed, blind = (
        next_batch(
            "exclusive", True, some, AskedQuestions(), CLASSES["exclusive"], TREE,
            SamplingSettings(size=40, first_random_share=0.0), 7,
        ).picks
        for some in (unlabelled, uniform)
    )  # fmt: skip
    margins = dict(zip(table.ids.to_pylist(), table.scores["margin"].tolist(), strict=True))
    mean = [np.mean([margins[pick.product_id] for pick in picks]) for picks in (informed, blind)]
    # Among products that cover the catalogue it prefers those between two names.
    assert mean[0] < mean[1]


def test_same_inputs_same_batch_another_seed_another_random_part(predictions):
    files, _ = predictions
    assert batch(files) == batch(files)
    assert batch(files, seed=8) != batch(files)


def test_multi_label_asks_about_a_product_and_a_category(predictions):
    files, _ = predictions
    found = batch(files, "rule_based", random_share=0.25, first_random_share=0.25)
    assert len(found.picks) == 40 and len({(p.product_id, p.category) for p in found.picks}) == 40
    table = read_table(files, "rule_based")
    ids = [category.id for category in CLASSES["rule_based"]]
    likely = {}
    for row, name in enumerate(table.ids.to_pylist()):
        for place, number in enumerate(table.classes[row]):
            likely[name, ids[number]] = float(table.probabilities[row, place])
    chosen = [pick for pick in found.picks if pick.source == "margin"]
    drawn = [pick for pick in found.picks if pick.source == "random"]
    busy = {(pick.product_id, pick.category) for pick in drawn}
    train = {key: p for key, p in likely.items() if key[0].startswith("train") and key not in busy}
    nearest = sorted(abs(p - 0.5) for p in train.values())[: len(chosen)]
    np.testing.assert_allclose(sorted(abs(likely[p.product_id, p.category] - 0.5) for p in chosen), nearest, atol=1e-3)
    assert {pick.inclusion_probability for pick in drawn} == {10 / 400 / 4}
    again = batch(files, "rule_based", AskedQuestions(frozenset((p.product_id, p.category) for p in found.picks)))
    assert not {(p.product_id, p.category) for p in again.picks} & {(p.product_id, p.category) for p in found.picks}


def test_values_are_given_by_path_and_hold_for_a_branch(predictions):
    files, written = predictions
    weighted = ValueWeighted(values={"bags": 100.0})
    found = batch(files, strategy=weighted, random_share=0.0, first_random_share=0.0)
    bags = [i for i, category in enumerate(TREE.exclusive) if category.path[0] == "bags"]
    share = [written["train"][int(pick.product_id.split("-")[1])][bags].sum() for pick in found.picks]
    assert len(bags) == 2 and np.mean(share) > 1.3 * written["train"][:, bags].sum(axis=1).mean()
    with pytest.raises(InputError, match="shoess"):
        batch(files, strategy=ValueWeighted(values={"shoess": 2.0}))


def test_a_strategy_that_needs_a_committee_says_so(predictions):
    with pytest.raises(MissingInput, match="committee"):
        batch(predictions[0], strategy=BALD())


def test_all_classes_are_looked_up_for_candidates_alone(predictions):
    """Expected gradient length out of every class, by its definition; BADGE's first pick has the longest gradient."""
    files, written = predictions
    dense = {f"train-{i}": p for i, p in enumerate(written["train"])}
    looked_up = []

    def all_classes(ids):
        looked_up.append(list(ids))
        return np.array([dense[name] for name in ids], np.float32)

    def lengths(one):
        p = dense[one]
        return np.array([np.linalg.norm(p - label) for label in np.eye(len(p))])

    table = read_table(files, "exclusive")
    vectors = dict(zip(table.ids.to_pylist(), table.embeddings, strict=True))
    alone = {"random_share": 0.0, "first_random_share": 0.0, "all_classes": all_classes}
    found = batch(files, strategy=ExpectedGradientLength(candidates=60), **alone)
    (candidates,) = looked_up
    assert len(candidates) == len(set(candidates)) == 60
    expected = {n: dense[n] @ lengths(n) * np.sqrt(1 + (vectors[n].astype(float) ** 2).sum()) for n in candidates}
    best = sorted(expected.values(), reverse=True)[:40]
    assert [pick.utility for pick in found.picks] == pytest.approx(best, rel=1e-4)
    looked_up.clear()
    found = batch(files, strategy=BADGE(candidates=50), **alone)
    (candidates,) = looked_up
    longest = {n: (lengths(n).min() * np.linalg.norm(vectors[n].astype(float))) ** 2 for n in candidates}
    assert len(candidates) == 50 and found.picks[0].utility == pytest.approx(max(longest.values()), rel=1e-3)
    looked_up.clear()
    batch(files, strategy=Combined(score=ExpectedGradientLength(), prefilter=45, diversify=BADGE()), **alone)
    assert [len(ids) for ids in looked_up] == [45]
    looked_up.clear()
    batch(files, all_classes=all_classes)
    assert looked_up == []


def test_a_committee_is_asked_about_what_its_members_disagree_about(tmp_path):
    """Disagreement from the model's columns for products, from the members' own answers for pairs and batches."""
    write_predictions(tmp_path, SIZES, members=3)
    files = PredictionFiles(tmp_path)
    for objective in ("exclusive", "rule_based"):
        table = read_table(files, objective, 3)
        assert table.members.shape == (400, 3, 4)
        np.testing.assert_allclose(table.members.mean(axis=1), table.probabilities, atol=2e-3)
    for strategy in (BALD(), BatchBALD()):
        for objective in ("exclusive", "rule_based"):
            found = batch(files, objective, strategy=strategy, members=3)
            utilities = [pick.utility for pick in found.picks if pick.source == strategy.kind]
            assert len(utilities) == 32 and utilities[0] > 0
    bald = np.sort(read_table(files, "exclusive", 3).scores["bald"][10:300])[::-1]
    found = batch(files, strategy=BALD(), members=3, random_share=0.0, first_random_share=0.0)
    np.testing.assert_allclose([pick.utility for pick in found.picks], bald[:40], rtol=1e-6)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(0, 90), st.integers(0, 10_000))
def test_systematic_sample_gives_every_stratum_its_share(strata, n, seed):
    strata = np.array(strata)
    places, probability = systematic(strata, n, np.random.default_rng(seed))
    n = min(n, len(strata))
    assert len(places) == len(set(places.tolist())) == n
    assert probability == pytest.approx(n / len(strata))
    for stratum, size in Counter(strata.tolist()).items():
        assert abs((strata[places] == stratum).sum() - probability * size) < 1 + 1e-9


def test_every_product_is_drawn_with_the_probability_that_is_stated():
    strata = np.array([0] * 7 + [1] * 2 + [2] * 11)
    counts = np.zeros(20)
    for seed in range(4000):
        places, probability = systematic(strata, 6, np.random.default_rng(seed))
        counts[places] += 1
    assert probability == 0.3
    assert (abs(counts - 1200) < 5 * np.sqrt(4000 * 0.3 * 0.7)).all()


def row(product: str, value: str = "yes", **more: object) -> dict[str, object]:
    first = {"objective": "exclusive", "category": "gifts", "annotator": "a", "time": "2026-01-01T00:00:00Z"}
    if value in ("skip", "none_of_these", "retracted"):
        first["category"] = None
    return {"product_id": product, **first, "value": value, "source": "margin", **more}


def written_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_what_was_asked_is_read_from_labels_and_queue(tmp_path):
    labels = written_lines(
        tmp_path / "labels.jsonl",
        [row("p1", batch="b1"), row("p2", "skip", batch="b1"), row("p3", batch="b2", source="random"),
         row("p4"), row("p4", "retracted", time="2026-01-02T00:00:00Z"), row("p5", "none_of_these"),
         row("p6", objective="rule_based", category="shoes", value="no")],
    )  # fmt: skip
    queue = written_lines(
        tmp_path / "queued.jsonl",
        [{"product_id": "p7", "objective": "exclusive", "category": None, "batch": "b3", "state": "open"},
         {"product_id": "p7", "objective": "rule_based", "category": "bags", "batch": "b4", "state": "open"}],
    )  # fmt: skip
    found = read_asked([labels], queue, TREE, KINDS)
    assert {product for product, _ in found["exclusive"].questions} == {"p1", "p2", "p3", "p5", "p7"}
    assert found["exclusive"].batches == {"b1", "b2", "b3"} and found["exclusive"].random == 1
    assert {product for product, category in found["rule_based"].questions if category} == {"p6", "p7"}
    assert read_asked([], None, TREE, KINDS)["exclusive"] == AskedQuestions()
    written_lines(queue, [{"objective": "exclusive"}])
    with pytest.raises(InputError, match=r"queued.jsonl:1"):
        read_asked([], queue, TREE, KINDS)


def test_the_label_store_reads_what_is_written(predictions, tmp_path):
    made = [batch(predictions[0]), batch(predictions[0], "rule_based")]
    write_batches(
        str(tmp_path / "out"),
        made,
        {"model": "somewhere/model/3", "fingerprint": "f"},
        {"exclusive": {7: "c1", 2**47: "c2"}},
    )
    read = {one.objective: one for one in read_batch(tmp_path / "out", "b7", run="r")}
    assert set(read) == {"exclusive", "rule_based"}
    for batch_ in made:
        items = read[batch_.objective].items
        assert [item.product_id for item in items] == [pick.product_id for pick in batch_.picks]
        assert [item.category or None for item in items] == [pick.category for pick in batch_.picks]
        assert [item.inclusion_probability for item in items] == [pick.inclusion_probability for pick in batch_.picks]
        assert {item.model for item in items} == {"somewhere/model/3"}
        assert [item.source for item in items] == [pick.source for pick in batch_.picks]
    assert pq.read_metadata(tmp_path / "out" / "batch.parquet").num_rows == 80
    stop_set = pq.read_table(tmp_path / "out" / "stop_set" / "exclusive.parquet").to_pylist()
    assert stop_set == [{"product_hash": 7, "category": "c1"}, {"product_hash": 2**47, "category": "c2"}]


def test_what_was_asked_before_a_second_feed_counts_as_asked(tmp_path):
    later = "2026-01-02T00:00:00Z"
    labels = written_lines(
        tmp_path / "labels.jsonl",
        [row("1", source="random"), row("north:1", time=later, source="random"), row("2", source="random"),
         row("north:2", "retracted", time=later), row("south:2")],
    )  # fmt: skip
    waiting = {"product_id": "7", "objective": "exclusive", "category": None, "batch": "old", "state": "open"}
    queue = written_lines(tmp_path / "queued.jsonl", [waiting])
    asked = read_asked([labels], queue, TREE, KINDS, LabelIds(("north", "south")).product_id)["exclusive"]
    assert asked.questions == {("north:1", ""), ("south:2", ""), ("north:7", "")}
    assert asked.random == 2 and "old" in asked.batches
