"""The demo's taxonomy, rules and labels, against their readers and against the truth."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.demo import DemoSummary
from modules.demo.categories import BY_PATH, CATEGORIES
from modules.demo.labels import Labels, random_labels
from modules.demo.products import generate
from modules.labels import read_labels, resolve
from modules.rules import load_rules
from modules.taxonomy import Taxonomy
from tests.modules.demo import oracle

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def taxonomy(output: Path) -> Taxonomy:
    return Taxonomy.load(output / "taxonomy.yaml")


@pytest.fixture(scope="module")
def rows(output: Path) -> Rows:
    return [json.loads(line) for line in oracle.open_text(output / "labels.jsonl")]


@pytest.fixture(scope="module")
def truth(output: Path) -> dict[str, str]:
    return oracle.read_truth(output)


def test_taxonomy_has_four_levels_and_exclusive_parents(taxonomy: Taxonomy, truth: dict[str, str]) -> None:
    assert max(category.level for category in taxonomy) == 4
    assert 55 <= len(taxonomy.exclusive) <= 65
    parents = [c for c in taxonomy.exclusive if any(below.exclusive for below in taxonomy.descendants(c))]
    assert len(parents) >= 5
    assert {category.text for category in taxonomy.exclusive} == set(truth.values())
    assert len(taxonomy) == len(CATEGORIES)


def test_the_same_name_stands_under_several_parents_but_is_shown_apart(taxonomy: Taxonomy) -> None:
    names = Counter(category.path[-1] for category in taxonomy)
    assert names["Boots"] == 3
    assert names["Accessories"] == 4
    deep = [category.name for category in taxonomy if category.level > 2]
    assert len(set(deep)) == len(deep)
    assert "Boots (Ski)" in deep


def test_rules_use_every_operator_and_field(output: Path, taxonomy: Taxonomy, demo: DemoSummary) -> None:
    rules = load_rules(output / "rules.yaml", taxonomy)
    assert len(rules) == demo.rules
    assert {"title", "raw_category", "brand", "gender"} <= set(rules.fields)
    text = (output / "rules.yaml").read_text("utf-8")
    for word in ("word", "phrase", "regex", "equals", "any", "all", "not"):
        assert re.search(rf"\b{word}:", text), word


@pytest.fixture(scope="module")
def fires(output: Path) -> dict[str, list[dict[str, Any]]]:
    rules = oracle.read_rules(output)
    return {key: oracle.fired(rules, record) for key, record in oracle.read_feeds(output)[0].items()}


def test_rules_reach_two_thirds_and_are_wrong_now_and_then(
    fires: dict[str, list[dict[str, Any]]], truth: dict[str, str], output: Path
) -> None:
    assert 0.60 <= sum(map(bool, fires.values())) / len(fires) <= 0.72
    right = [oracle.is_right(rule["category"], truth[key]) for key, found in fires.items() for rule in found]
    assert 0.93 <= np.mean(right) <= 0.97
    counts = Counter(rule["id"] for found in fires.values() for rule in found)
    # No rule is there for nothing, and each is seen often enough to be learnt.
    assert min(counts[rule["id"]] for rule in oracle.read_rules(output)) >= 10


def test_labels_can_be_read_and_come_to_what_the_summary_says(output: Path, taxonomy: Taxonomy, rows: Rows,
                                                              demo: DemoSummary) -> None:  # fmt: skip
    log = read_labels(output / "labels.jsonl", taxonomy, {"exclusive": "exclusive", "rule_based": "multi_label"})
    assert len(log) == len(rows) == sum(demo.labels.values())
    assert Counter(row["source"] for row in rows) == demo.labels
    assert len({row["product_id"] for row in rows}) == demo.labelled_products
    resolved = resolve(log)
    assert 560 < len(resolved["exclusive"]) < demo.labelled_products
    assert 5 <= len(resolved["rule_based"]) <= 30


def test_random_labels_carry_their_inclusion_probability(rows: Rows, truth: dict[str, str]) -> None:
    picked = {row["product_id"] for row in rows if row["source"] == "random"}
    assert len(picked) == 500
    for row in rows:
        assert row["inclusion_probability"] == (500 / 4000 if row["source"] == "random" else None)
        assert row["product_id"] in truth


@given(st.integers(0, 10**7))
def test_the_number_of_labels_grows_slowly(products: int) -> None:
    count = random_labels(products)
    assert min(products, 1) <= count <= products
    assert count <= random_labels(products + 1) <= count + 1
    if products >= 4000:
        assert 500 <= count <= 2000


def test_random_picks_are_uniform() -> None:
    """Over many seeds each of 40 products is picked at random as often as the others."""
    counts: Counter[str] = Counter()
    products = list(generate(7, 0, 40))
    for seed in range(400):
        labels = Labels(40, seed)
        for index, product in enumerate(products):
            labels.see(index, product)
        counts.update({row["product_id"] for row in labels.rows() if row["source"] == "random"})
    expected = 400 * 0.5
    assert set(counts) == {product.record[0] for product in products}
    # Five standard deviations of a binomial count.
    assert max(abs(count - expected) for count in counts.values()) < 5 * (400 * 0.25) ** 0.5


def test_people_agree_with_the_truth_nearly_always(rows: Rows, truth: dict[str, str]) -> None:
    said = [row for row in rows if row["value"] == "yes" and row["objective"] == "exclusive"]
    right = np.mean([row["category"] == truth[row["product_id"]] for row in said])
    assert 0.97 < right < 1
    for row in said:
        assert row["category"].split(" > ")[0] == truth[row["product_id"]].split(" > ")[0]


def test_labels_have_all_values_three_annotators_and_second_opinions(rows: Rows) -> None:
    values = Counter(row["value"] for row in rows)
    assert set(values) == {"yes", "no", "none_of_these", "skip", "retracted"}
    assert all(row["category"] is None for row in rows if row["value"] in ("skip", "none_of_these"))
    assert {row["annotator"] for row in rows} == {"annotator-1", "annotator-2", "annotator-3"}
    people: dict[str, set[str]] = {}
    said: dict[str, set[str]] = {}
    for row in rows:
        if row["objective"] == "exclusive" and row["source"] == "random":
            people.setdefault(row["product_id"], set()).add(row["annotator"])
            if row["value"] == "yes":
                said.setdefault(row["product_id"], set()).add(row["category"])
    doubled = {key for key, names in people.items() if len(names) > 1}
    assert 0.06 < len(doubled) / len(people) < 0.2
    assert 1 <= sum(len(said.get(key, ())) > 1 for key in doubled) < 0.25 * len(doubled)


def test_labels_are_in_the_order_of_time(rows: Rows) -> None:
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(time).utcoffset() is not None for time in times)
    for batch in {row["batch"] for row in rows}:
        assert len({row["product_id"] for row in rows if row["batch"] == batch}) <= 100


def test_margin_picks_are_hard(rows: Rows, output: Path, truth: dict[str, str]) -> None:
    """Their titles do not hold one of their category's own names, which most titles do."""
    records = oracle.read_feeds(output)[0]

    def clear(key: str) -> bool:
        title = " ".join(oracle.tokens(records[key]["title"]))
        category = BY_PATH[truth[key]]
        own = [noun for noun in category.nouns if noun != category.weak]
        return any(" ".join(oracle.tokens(noun)) in title for noun in own)

    margin = {row["product_id"] for row in rows if row["source"] == "margin"}
    assert 60 <= len(margin) <= 100
    assert np.mean([clear(key) for key in margin]) < 0.2
    assert np.mean([clear(key) for key in records]) > 0.7


@pytest.mark.slow
def test_the_catalogue_can_be_learnt_but_not_at_once(output: Path, truth: dict[str, str]) -> None:
    """TF-IDF and logistic regression: some 500 labels reach 0.75 to 0.9, five sixths of the truth 0.95 or more."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    records = oracle.read_feeds(output)[0]
    keys = sorted(records, key=lambda key: key[3:])
    columns = ("title", "raw_category", "brand", "description", "gender")
    texts = [" ".join(records[key].get(column, "") for column in columns) for key in keys]
    features = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    target = np.array([truth[key] for key in keys])

    def accuracy(train: np.ndarray) -> float:
        # The last sixth, by number: no variant of a training product among them but at the border.
        test = np.arange(3334, 4000)
        model = LogisticRegression(C=30, max_iter=300).fit(features[train], target[train])
        return float(np.mean(model.predict(features[test]) == target[test]))

    few = np.random.default_rng(0).choice(3334, 500, replace=False)
    assert 0.75 <= accuracy(few) <= 0.9
    assert accuracy(np.arange(3334)) >= 0.95
