"""Agreement out of the store: whose answers count, per category and annotator."""

from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from labelling.store import Store, rows
from labelling.store.agreement import agreement
from labelling.store.rows import Label
from labelling.store.status import pace
from tests.labelling.shop import BOOTS, NOW, SANDALS, WALLETS


def put(store: Store, *said: tuple[str, str, str | None, str], objective: str = "exclusive") -> None:
    found = [
        Label(product, objective, category, value, who, NOW + i, "random")
        for i, (product, who, category, value) in enumerate(said)
    ]
    with store.write() as connection:
        rows.append(connection, found)


def test_agreement_per_annotator_is_cohens_kappa(store: Store) -> None:
    ann = [BOOTS, BOOTS, SANDALS, SANDALS, WALLETS, WALLETS]
    bob = [BOOTS, SANDALS, SANDALS, SANDALS, WALLETS, BOOTS]
    said = [(f"p{i}", "ann", category, "yes") for i, category in enumerate(ann)]
    said += [(f"p{i}", "bob", category, "yes") for i, category in enumerate(bob)]
    said += [("p0", "cem", None, "skip"), ("p9", "cem", BOOTS, "yes")]
    put(store, *said)
    with store.read() as connection:
        found = agreement(connection, "exclusive")
    assert found.products == 6
    people = {one.annotator: one for one in found.annotators}
    assert set(people) == {"ann", "bob"}
    assert people["ann"].kappa == pytest.approx(cohen_kappa_score(ann, bob))
    assert people["ann"].same == pytest.approx(4 / 6)
    # Least agreed on first; sandals: 3 of them, of which 2 agree.
    assert found.categories[0].alpha < found.categories[-1].alpha
    assert {one.category: one.products for one in found.categories} == {BOOTS: 3, SANDALS: 3, WALLETS: 2}


def test_only_the_newest_answer_counts(store: Store) -> None:
    put(store, ("p0", "ann", BOOTS, "yes"), ("p0", "bob", SANDALS, "yes"), ("p0", "bob", BOOTS, "yes"),
        ("p1", "ann", SANDALS, "yes"), ("p1", "bob", SANDALS, "yes"), ("p1", "bob", None, "retracted"),
        ("p2", "ann", None, "none_of_these"), ("p2", "bob", None, "none_of_these"))  # fmt: skip
    with store.read() as connection:
        found = agreement(connection, "exclusive")
    assert (found.products, found.alpha) == (2, 1.0)


def test_multi_label_agreement_is_about_questions(store: Store) -> None:
    put(store, ("p0", "ann", BOOTS, "yes"), ("p0", "bob", BOOTS, "no"), ("p0", "ann", SANDALS, "no"),
        ("p0", "bob", SANDALS, "no"), ("p1", "ann", SANDALS, "yes"), ("p1", "bob", SANDALS, "yes"),
        objective="rule_based")  # fmt: skip
    with store.read() as connection:
        found = agreement(connection, "rule_based", "multi_label")
    alphas = {one.category: one.alpha for one in found.categories}
    assert found.products == 3 and alphas[SANDALS] == 1.0 and alphas[BOOTS] <= 0.0


def test_pace_leaves_breaks_out() -> None:
    second = 1_000_000
    # Ten products, ten seconds each, with a lunch break in between.
    times = [t * 10 * second for t in range(5)] + [(3600 + t * 10) * second for t in range(5)]
    assert pace(times[::-1]) == pytest.approx(360)
    assert pace(times[:4]) is None
