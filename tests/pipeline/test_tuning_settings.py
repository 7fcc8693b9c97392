"""The ``tuning`` section: what it refuses, and what it makes of the other settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError, Problem
from modules.settings.kubeflow import KubeflowSettings
from modules.settings.tuning import decoded, encoded, tuned_objective, with_values
from modules.settings.workflow import Workflow
from pipeline.workflow_file import load_workflow


def problems_of(folder: Path, text: str) -> list[Problem]:
    path = folder / "w.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        load_workflow(path)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("search", "key", "value", "says"),
    [
        ("training.learning_rat: {low: 1, high: 2}", "", "training.learning_rat", "mean 'training.learning_rate'?"),
        ("feed.files: {choices: [a]}", "", "feed.files", "expected one of: model.kind"),
        ("training.refit_on_eval: {choices: [true, false]}", "", "training.refit_on_eval", "expected one of"),
        ("training.learning_rate: {}", "", None, "low and high, or choices"),
        ("training.learning_rate: {low: 0.1}", "", None, "low and high, or choices"),
        ("training.learning_rate: {choices: []}", ".choices", "[]", "at least one value"),
        ("training.learning_rate: {choices: [0.1], high: 1}", ".high", "1.0", "either choices, or low and high"),
        ("training.learning_rate: {low: 0.1, high: 0.1}", ".low", "0.1", "less than high, 0.1"),
        ("training.learning_rate: {low: 0, high: 0.1}", ".low", "0", "training.learning_rate takes"),
        ("model.l2: {low: 0, high: 0.1, log: true}", ".low", "0", "more than 0, since log is true"),
        ("model.dropout: {low: 0.1, high: 1}", ".high", "1", "less than 1"),
        ("training.batch_size: {low: 1, high: 2.5}", ".high", "2.5", "integer"),
        ("model.kind: {choices: [deep, depe]}", ".choices[1]", "depe", "'linear', 'lsa'"),
        ("model.hidden: {choices: [[64], [0]]}", ".choices[1]", "[0]", "greater than or equal to 1"),
        ("training.clip_norm: {choices: [1.0, null, -1]}", ".choices[2]", "-1", "greater than 0"),
        ("training.learning_rate: {low: a, high: 1}", ".low", "a", "a number or null"),
        ("training.learning_rate: {lo: 1, high: 1}", ".lo", "1", "unknown key"),
    ],
)  # fmt: skip
def test_a_search_that_could_not_work_is_said(tmp_path: Path, search: str, key: str, value: str, says: str) -> None:
    (found,) = problems_of(tmp_path, f"name: shop\ntuning:\n  trials: 3\n  search:\n    {search}\n")
    assert found.key == f"tuning.search.{search.partition(':')[0]}{key}"
    assert (found.line, found.value) == (5, value), found
    assert says in f"{found.expected} {found.hint}", found


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("tuning: {}", "tuning.search", "at least one setting"),
        ("tuning: {trials: 0, search: {model.l2: {low: 0, high: 1}}}", "tuning.trials", "at least 1"),
        ("tuning: {method: grid, search: {model.l2: {low: 0, high: 1}}}", "tuning.method", "random, bayesian"),
        ("tuning: {objective: exclusiv, search: {model.l2: {low: 0, high: 1}}}", "tuning.objective", "exclusive"),
        # The workflow's own model is deep: no value of the search goes with it.
        ("tuning: {search: {training.solver: {choices: [adam, liblinear]}}}", "tuning.search", "model.kind: auto"),
        (
            "tuning: {search: {training.solver: {choices: [adam, liblinear]}, model.kind: {choices: [linear, deep]}}}",
            "tuning.search",
            "training.solver liblinear needs model.kind: auto or linear",
        ),
        (
            "committee: {by: dropout}\ntuning: {search: {model.dropout: {low: 0, high: 0.5}}}",
            "tuning.search",
            "committee.by dropout needs",
        ),
    ],
)
def test_contradictions_are_said(tmp_path: Path, text: str, key: str, says: str) -> None:
    (found,) = problems_of(tmp_path, f"name: shop\n{text}\n")
    assert found.key == key and says in f"{found.expected} {found.hint}", found


def test_values_that_go_together_are_taken(tmp_path: Path) -> None:
    text = """\
name: shop
tuning:
  method: bayesian
  search:
    training.solver: {choices: [liblinear]}
    model.kind: {choices: [linear, lsa]}
    training.liblinear_c: {low: 0.1, high: 10, log: true}
    model.embedding_width: {choices: [null, 64]}
"""
    (tmp_path / "w.yaml").write_text(text)
    workflow = load_workflow(tmp_path / "w.yaml").workflow
    assert workflow.tuning is not None and workflow.tuning.trials == 12
    assert tuned_objective(workflow) == "exclusive"


def test_without_the_section_there_is_none() -> None:
    assert Workflow(name="shop").tuning is None


OBJECTIVES = {"a": {"kind": "multi_label"}, "b": {"kind": "exclusive"}, "c": {"kind": "exclusive"}}


@pytest.mark.parametrize(("named", "expected"), [(None, "b"), ("a", "a"), ("c", "c")])
def test_the_objective_that_trials_are_compared_by(named: str | None, expected: str) -> None:
    tuning = {"objective": named, "search": {"model.l2": {"low": 0.0, "high": 0.1}}}
    workflow = Workflow.model_validate(
        {"name": "x", "rules": {"file": "r"}, "objectives": OBJECTIVES, "tuning": tuning}
    )
    assert tuned_objective(workflow) == expected


def test_other_values_and_nothing_else() -> None:
    workflow = Workflow.model_validate({"name": "shop", "seed": 3, "model": {"kind": "wide_deep"}})
    values = {
        "training.batch_size": 64,
        "training.learning_rate": 0.5,
        "model.hidden": "[32, 16]",
        "model.kind": "deep",
    }
    found = with_values(workflow, values)
    assert (found.training.batch_size, found.training.learning_rate) == (64, 0.5)
    assert (found.model.hidden, found.model.kind) == ((32, 16), "deep")
    back = {
        "training.batch_size": 128,
        "training.learning_rate": 2e-3,
        "model.hidden": (256,),
        "model.kind": "wide_deep",
    }
    assert with_values(found, back) == workflow
    assert with_values(workflow, {}) == workflow
    assert with_values(workflow, {"training.clip_norm": "null"}).training.clip_norm is None


CHOICES = st.one_of(
    st.lists(st.integers(-9, 9), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.lists(st.sampled_from(["adam", "none", "wide_deep"]), min_size=1),
    st.lists(
        st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["on", "off"]), st.tuples(st.integers())),
        min_size=1,
    ),
)


@given(CHOICES)
def test_choices_survive_the_search(choices: list[Any]) -> None:
    made = encoded(choices)
    assert len({type(one) for one in made}) == 1 and not isinstance(made[0], bool)
    assert [decoded(one) for one in made] == choices


def test_on_kubeflow_the_tuner_has_what_the_trainer_has() -> None:
    trainer, tuner = {"memory": "16Gi", "gpu": {"count": 2}}, {"memory": "8Gi"}
    settings = KubeflowSettings.model_validate({"components": {"Trainer": trainer}})
    assert settings.resources("Tuner") == settings.resources("Trainer") != settings.resources("Predictor")
    settings = KubeflowSettings.model_validate({"components": {"Trainer": trainer, "Tuner": tuner}})
    assert settings.resources("Tuner").memory == "8Gi" and settings.resources("Tuner").gpu is None
