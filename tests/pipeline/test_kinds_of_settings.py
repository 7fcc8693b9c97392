"""``model`` and ``training``: each kind takes its own keys, and says of the others' whose they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules.errors import InputError, Problem
from modules.models import KINDS
from modules.models.base import ModelSettings
from modules.settings.base import Settings
from modules.settings.tuning import with_values
from modules.settings.workflow import Workflow
from modules.training.methods import WAYS
from pipeline.workflow_file import load_workflow
from pipeline.workflow_schema import workflow_schema
from tests.pipeline.test_workflow_schema import fits

SECTIONS: dict[str, tuple[str, tuple[type[Settings], ...]]] = {"model": ("kind", KINDS), "training": ("solver", WAYS)}
CASES = [(section, tag, kind) for section, (tag, kinds) in SECTIONS.items() for kind in kinds]
NAMES = [f"{section}-{kind.model_fields[tag].default}" for section, tag, kind in CASES]


def name_of(tag: str, kind: type[Settings]) -> str:
    return str(kind.model_fields[tag].default)


def partner(section: str, kind: type[Settings]) -> dict[str, Any]:
    """The other section, so that both go together, and the feature that reads names where the kind wants one."""
    if issubclass(kind, ModelSettings):
        features = {"features": {"title": {"kind": "encoded"}}} if kind.knows_names else {}
        return {"training": {"solver": next(name_of("solver", way) for way in WAYS if way.trains(kind))}, **features}
    return {"model": {"kind": next(name_of("kind", model) for model in KINDS if kind.trains(model))}}


def loaded(folder: Path, data: dict[str, Any]) -> Workflow:
    path = folder / "w.yaml"
    path.write_text(yaml.safe_dump({"name": "shop", **data}), "utf-8")
    return load_workflow(path).workflow


def problems_of(folder: Path, data: dict[str, Any]) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        loaded(folder, data)
    return list(caught.value.problems)


def in_schema(data: dict[str, Any]) -> bool:
    """Whether the JSON Schema takes the workflow."""
    schema = workflow_schema()
    return fits(data, schema, schema)


@pytest.mark.parametrize(("section", "tag", "kind"), CASES, ids=NAMES)
def test_a_kind_takes_all_of_its_own_keys_and_comes_back_the_same(
    tmp_path: Path, section: str, tag: str, kind: type[Settings]
) -> None:
    own = kind().model_dump(mode="json")
    data = {section: own, **partner(section, kind)}
    workflow = loaded(tmp_path, data)
    assert type(getattr(workflow, section)) is kind
    assert Workflow.from_part(workflow.model_dump_json()) == workflow
    assert in_schema({"name": "shop", **data})


@pytest.mark.parametrize(("section", "tag", "kind"), CASES, ids=NAMES)
def test_a_kind_refuses_each_key_of_the_others_and_says_whose_it_is(
    tmp_path: Path, section: str, tag: str, kind: type[Settings]
) -> None:
    kinds = SECTIONS[section][1]
    others = {
        key: field for other in kinds for key, field in other.model_fields.items() if key not in kind.model_fields
    }
    assert others
    for key, field in others.items():
        value = json.loads(json.dumps(field.get_default(call_default_factory=True)))
        data = {section: {tag: name_of(tag, kind), key: value}, **partner(section, kind)}
        (problem,) = problems_of(tmp_path, data)
        owners = [name_of(tag, other) for other in kinds if key in other.model_fields]
        assert problem.key == f"{section}.{key}" and problem.line is not None
        assert f"{section}.{tag} is {name_of(tag, kind)}" in problem.expected
        assert (
            f"only {tag}: {', '.join(owners[:-1])}{' or ' if owners[1:] else ''}{owners[-1]} has it" in problem.expected
        )
        # No older workflow has a kind that chooses or reads names, nor a key of such kinds alone: nothing is migrated.
        owning = [other for other in kinds if key in other.model_fields]
        newer = issubclass(kind, ModelSettings) and (
            kind.chooses or kind.knows_names or all(issubclass(o, ModelSettings) and o.knows_names for o in owning)
        )
        rest = "" if newer else "; `shelfmark migrate "
        assert problem.hint.startswith(f"delete {section}.{key}{rest}")
        assert not in_schema({"name": "shop", **data})


def test_the_kind_that_is_left_out_is_as_ever(tmp_path: Path) -> None:
    workflow = loaded(tmp_path, {"model": {"hidden": [8]}, "training": {"epochs": 3}})
    assert (workflow.model.kind, workflow.training.solver) == ("wide_deep", "adam")
    assert (Workflow(name="x").model.kind, Workflow(name="x").training.solver) == ("auto", "liblinear")
    assert in_schema({"name": "x", "model": {"hidden": [8]}, "training": {"epochs": 3}})


@pytest.mark.parametrize(
    ("data", "key", "says"),
    [
        ({"model": {"kind": "linear", "hiden": [8]}}, "model.hiden", "'model.hidden'? Only kind: deep or wide_deep"),
        ({"model": {"hiden": [8]}}, "model.hiden", "did you mean 'model.hidden'?"),
        ({"training": {"liblinear_d": 1.0}}, "training.liblinear_d", "'training.liblinear_c'? Only solver: liblinear"),
        ({"model": {"kind": "lineer"}}, "model.kind", "did you mean 'linear'?"),
        ({"model": {"kind": 5}}, "model.kind", "linear, lsa, gaussian_process, deep, wide_deep"),
        ({"training": {"solver": "libliner"}}, "training.solver", "did you mean 'liblinear'?"),
        ({"training": 5}, "training", "a mapping with solver: adam, liblinear"),
        (
            {"committee": {"by": "kinds", "kinds": [{"model": {"kind": "linear", "dropout": 0.1}}]}},
            "committee.kinds[0].model.dropout",
            "delete committee.kinds[0].model.dropout",
        ),
        (
            {"committee": {"by": "kinds", "kinds": [{"model": {"kind": "linear"}, "training": {"liblinear_c": 1.0}}]}},
            "committee.kinds[0].training.liblinear_c",
            "only solver: liblinear has it",
        ),
        ({"features": {"t": {"kind": "price", "vocabulary": 9}}}, "features.t.vocabulary", "delete"),
        # What did nothing before.
        ({"model": {"joint": [8]}}, "model.joint", "an image feature"),
        (
            {"model": {"kind": "linear", "l2": 0.1}, "training": {"solver": "liblinear"}},
            "model.l2",
            "liblinear would not heed",
        ),
        (
            {"model": {"kind": "linear", "input_dropout": 0.1}, "training": {"solver": "liblinear"}},
            "model.input_dropout",
            "liblinear would not heed",
        ),
        (
            {
                "model": {"kind": "wide_deep"},
                "committee": {"by": "kinds", "kinds": [{"model": {"kind": "deep", "modality_dropout": 0.1}}]},
            },
            "committee.kinds[0].model.modality_dropout",
            "an image feature",
        ),
    ],
)
def test_a_wrong_key_or_kind_is_said(tmp_path: Path, data: dict[str, Any], key: str, says: str) -> None:
    (problem,) = problems_of(tmp_path, data)
    assert problem.key == key and says in f"{problem.expected}; {problem.hint}", problem


def test_a_search_may_try_kinds_together_with_the_settings_of_each(tmp_path: Path) -> None:
    search: dict[str, Any] = {
        "model.kind": {"choices": ["linear", "deep"]},
        "model.hidden": {"choices": [[8], [16, 8]]},
        "model.embedding_width": {"choices": [None, 64]},
    }
    data: dict[str, Any] = {"model": {"kind": "linear"}, "tuning": {"search": search}}
    workflow = loaded(tmp_path, data)
    values = {"model.hidden": "[16, 8]", "model.embedding_width": "64"}
    deep = with_values(workflow, {"model.kind": "deep", **values}).model
    linear = with_values(workflow, {"model.kind": "linear", **values}).model
    assert (deep.kind, getattr(deep, "hidden", None)) == ("deep", (16, 8))
    assert (linear.kind, getattr(linear, "embedding_width", None)) == ("linear", 64)
    del search["model.kind"]
    (problem,) = problems_of(tmp_path, data)
    assert problem.key == "tuning.search.model.hidden" and "model.embedding_width" in problem.expected
