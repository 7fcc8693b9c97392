"""What ``model.kind: auto`` stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from modules.models.auto import FEW_LABELS, LABELS_PER_CATEGORY, MANY_LABELS
from modules.objectives.exclusive import ExclusiveObjective
from modules.settings.workflow import Workflow
from modules.training.choice import with_chosen_model


def workflow(**sections: Any) -> Workflow:
    return Workflow.model_validate({"name": "shop", **sections})


PICTURES = {"picture": {"kind": "image"}}


@pytest.mark.parametrize(
    ("labels", "features", "kind"),
    [
        (0, {}, "gaussian_process"),
        (FEW_LABELS - 1, {}, "gaussian_process"),
        (FEW_LABELS, {}, "linear"),
        (0, PICTURES, "lsa"),
        (FEW_LABELS - 1, PICTURES, "lsa"),
        (FEW_LABELS, PICTURES, "linear"),
    ],
)
def test_the_kind_follows_the_labels(labels: int, features: dict[str, Any], kind: str) -> None:
    settings = workflow(model={"kind": "auto", "embedding_width": 32}, **({"features": features} if features else {}))
    counts = {"exclusive": np.array([labels, 0])}
    chosen = with_chosen_model(settings, counts)
    assert (chosen.workflow.model.kind, chosen.workflow.model.embedding_width) == (kind, 32)
    assert kind in chosen.reason and f"{labels:,} labels" in chosen.reason
    objective = chosen.workflow.objectives["exclusive"]
    assert isinstance(objective, ExclusiveObjective)
    assert (objective.loss, objective.ancestor_weight) == ("squared_hinge", 0.2)


@pytest.mark.parametrize(
    ("categories", "features", "most"),
    [
        (10, {}, FEW_LABELS),
        (80, {}, 80 * LABELS_PER_CATEGORY),
        (900, {}, MANY_LABELS),
        (100, {"brand": {"kind": "categorical"}}, FEW_LABELS),
        (100, {"title": {"kind": "text"}} | PICTURES, FEW_LABELS),
    ],
)
def test_many_categories_want_more_labels_before_names_are_left(
    categories: int, features: dict[str, Any], most: int
) -> None:
    settings = workflow(model={"kind": "auto"}, **({"features": features} if features else {}))
    kinds = []
    for labels in (most - 1, most):
        # Categories without a label ask for none.
        counts = np.r_[np.ones(categories, np.int64), np.zeros(500, np.int64)]
        counts[0] = labels - categories + 1
        chosen = with_chosen_model(settings, {"exclusive": counts})
        kinds.append(chosen.workflow.model.kind)
        assert f"{most:,}" in chosen.reason
    assert kinds == ["lsa" if "brand" in features else "gaussian_process", "linear"]


def test_labels_of_rules_do_not_count() -> None:
    objectives = {"exclusive": {"kind": "exclusive"}, "rule_based": {"kind": "multi_label", "labels": "rules"}}
    settings = workflow(rules={"file": "r.yaml"}, objectives=objectives)
    many, few = np.array([9 * FEW_LABELS]), np.array([5])
    chosen = with_chosen_model(settings, {"exclusive": few, "rule_based": many})
    assert chosen.workflow.model.kind == "gaussian_process" and "5 labels" in chosen.reason
    alone = workflow(rules={"file": "r.yaml"}, objectives={"rule_based": objectives["rule_based"]})
    assert with_chosen_model(alone, {"rule_based": many}).workflow.model.kind == "linear"


def test_what_a_workflow_says_itself_stays() -> None:
    settings = workflow(objectives={"exclusive": {"kind": "exclusive", "ancestor_weight": 0.5}})
    objective = with_chosen_model(settings, {"exclusive": np.array([5])}).workflow.objectives["exclusive"]
    assert isinstance(objective, ExclusiveObjective) and objective.ancestor_weight == 0.5
    named = workflow(model={"kind": "linear"}, training={"solver": "liblinear"})
    assert with_chosen_model(named, {"exclusive": np.array([5])}) == (named, "")


def test_members_of_a_committee_are_chosen_too() -> None:
    settings = workflow(committee={"by": "kinds", "kinds": [{"model": {"kind": "auto"}}]})
    chosen = with_chosen_model(settings, {"exclusive": np.array([FEW_LABELS])}).workflow
    assert chosen.committee is not None and chosen.committee.kinds[0].model.kind == "linear"


@pytest.mark.parametrize(
    ("sections", "kind", "solver"),
    [
        ({}, "auto", "liblinear"),
        ({"model": {"kind": "auto"}}, "auto", "liblinear"),
        ({"training": {"solver": "liblinear"}}, "auto", "liblinear"),
        # As before there was a kind that chooses.
        ({"model": {"kind": "deep"}}, "deep", "adam"),
        ({"model": {"l2": 0.1}}, "wide_deep", "adam"),
        ({"training": {"epochs": 3}}, "wide_deep", "adam"),
        ({"tuning": {"search": {"model.l2": {"low": 0, "high": 1}}}}, "wide_deep", "adam"),
    ],
)
def test_model_and_solver_that_are_left_out_suit_each_other(sections: dict[str, Any], kind: str, solver: str) -> None:
    settings = workflow(**sections)
    assert (settings.model.kind, settings.training.solver) == (kind, solver)


def test_a_search_needs_a_kind_of_its_own() -> None:
    with pytest.raises(ValidationError, match=r"model\.kind: expected lsa or linear"):
        workflow(
            model={"kind": "auto"}, training={"solver": "liblinear"},
            tuning={"search": {"training.liblinear_c": {"low": 0.1, "high": 1}}},
        )  # fmt: skip
