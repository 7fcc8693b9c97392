"""Old workflow files: after the migration they are valid, mean what they meant, and say the rest as it was written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.settings.workflow import Workflow
from pipeline.migrate import MigratedFile, migrate_file, write_file
from pipeline.migrations import STEPS, migrate_text
from pipeline.settings_errors import validate_data
from pipeline.workflow_file import REPOSITORY, load_workflow
from pipeline.yaml_tree import read_tree
from tests.pipeline.migrations import old_settings

PICTURE = {"picture": {"kind": "image"}, "title": {"kind": "text"}}


def workflow_of(text: str) -> Workflow:
    workflow, problems = validate_data(read_tree(text, "w.yaml").data, lambda path: ("w.yaml", None))
    assert workflow is not None, problems
    return workflow


def migrated(folder: Path, text: str) -> MigratedFile:
    path = folder / "w.yaml"
    path.write_bytes(text.encode())
    return migrate_file(path)


class WrittenOut(yaml.SafeDumper):
    """Writes no aliases for lists that are the same object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def styled(data: dict[str, Any], flow: bool | None) -> str:
    return yaml.dump(data, Dumper=WrittenOut, sort_keys=False, default_flow_style=flow, width=40)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    old_settings.sections(), old_settings.sections(), st.booleans(), st.sampled_from([True, False, None]), st.booleans()
)
def test_any_old_workflow_means_what_it_meant(
    own: tuple[dict[str, Any], dict[str, Any]],
    member: tuple[dict[str, Any], dict[str, Any]],
    pictured: bool,
    flow: bool | None,
    committee: bool,
) -> None:
    model, training = own
    data: dict[str, Any] = {"name": "shop", "seed": 3, "model": model, "training": training}
    if pictured:
        data |= {"features": PICTURE, "feed": {"fields": {"image": "picture"}}}
    if committee:
        data["committee"] = {"by": "kinds", "kinds": [{"model": member[0], "training": member[1]}]}
    migration = migrate_text(styled(data, flow), "w.yaml")
    assert not migration.decisions
    workflow = workflow_of(migration.text)
    wanted = old_settings.meant(model, training, pictured=pictured)
    assert old_settings.read(workflow.model, workflow.training, wanted) == wanted
    if committee:
        assert workflow.committee is not None
        wanted = old_settings.meant(*member, pictured=pictured)
        new = workflow.committee.kinds[0]
        assert old_settings.read(new.model, new.training, wanted) == wanted
    assert workflow.seed == 3
    # What is of today's shape stays as it is, to the letter.
    assert migrate_text(migration.text, "w.yaml").text == migration.text
    assert not migrate_text(migration.text, "w.yaml").changes


@pytest.mark.parametrize("solver", ["adam", "liblinear"])
@pytest.mark.parametrize("kind", old_settings.KINDS)
@pytest.mark.parametrize("flow", [True, False])
def test_all_keys_of_every_kind_at_once(tmp_path: Path, kind: str, solver: str, flow: bool) -> None:
    goes = solver == "liblinear" if kind == "lsa" else solver == "adam" or kind == "linear"
    model = {"kind": kind, "text_input": "histogram", "hidden": [8], "activation": "tanh", "dropout": 0.1,
             "input_dropout": 0.1, "normalization": "batch", "l2": 0.1, "embedding_width": 16,
             "joint": [4]}  # fmt: skip
    training = {"solver": solver, "liblinear_c": 2.0, "batch_size": 4, "epochs": 3, "learning_rate": 0.1,
                "learning_rate_decay": "none", "patience": 2, "monitor": "accuracy", "clip_norm": None}  # fmt: skip
    data = {"name": "shop", "model": model, "training": training}
    result = migrated(tmp_path, styled(data, flow))
    with pytest.raises(InputError) as caught:
        load_workflow(result.path)
    assert all("`shelfmark migrate " in problem.hint for problem in caught.value.problems if problem.line)
    if not goes:
        assert result.problems, "a model that its solver cannot train was an error before, and is one"
        return
    assert not result.problems and result.changes
    assert all(change.line and change.expected.startswith("removed, because ") for change in result.changes)
    backup = write_file(result)
    workflow = load_workflow(result.path).workflow
    wanted = old_settings.meant(model, training, pictured=False)
    assert old_settings.read(workflow.model, workflow.training, wanted) == wanted
    assert backup.read_text("utf-8") == result.old


TEXT = """\
# A shop.
name: shop # its name

model:
  # Which kind.
  kind: linear
  hidden: [8, 4] # wide

  # How wide.
  embedding_width: 64
  dropout: 0.2
training: {"solver": liblinear, batch_size: 4,
  epochs: 3, # some
  liblinear_c: 2.0} # strong
committee:
  by: kinds
  kinds:
  - model: {kind: lsa, l2: 0.1}
  - model:
      hidden: [8]
      kind: linear
    training: {epochs: 3}
  - model:
      hidden: [8]
"""

NEW_TEXT = """\
# A shop.
name: shop # its name

model:
  # Which kind.
  kind: linear

  # How wide.
  embedding_width: 64
training: {"solver": liblinear,   liblinear_c: 2.0} # strong
committee:
  by: kinds
  kinds:
  - model: {kind: lsa}
  - model:
      kind: linear
    training: {epochs: 3}
  - model:
      hidden: [8]
"""


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_comments_order_and_style_stay(tmp_path: Path, ends: str, mark: str) -> None:
    # The last member is deep, which liblinear cannot train: an error as ever, after all others.
    result = migrated(tmp_path, mark + TEXT.replace("\n", ends))
    assert result.new == NEW_TEXT.replace("\n", ends)
    assert [problem.key for problem in result.problems] == ["committee.kinds[2].training.solver"]


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("model: {kind: linear, hidden: [8]}", "model: {kind: linear}"),
        ("model: {hidden: [8], kind: linear}", "model: {kind: linear}"),
        ("model: {hidden: [8], kind: linear, dropout: 0.1, l2: 0.1}", "model: {kind: linear, l2: 0.1}"),
        ("model: {embedding_width: 8}", "model: {}"),
        ("model:\n  embedding_width: 8 # none", "model: {} # none"),
        ("model:\n  # why\n  embedding_width: 8\nseed: 2", "model:\n  # why\n  {}\nseed: 2"),
        ("model: {kind: linear, # one\n  hidden: [8], # two\n  l2: 0.1}", "model: {kind: linear, # one\n  l2: 0.1}"),
        ("model: {hidden: [8],\n  dropout: 0.1,\n  kind: linear}", "model: {  kind: linear}"),
        ("model:\n  kind: linear\n  hidden:\n  - 8\n  - 4\n  # end\nseed: 2",
         "model:\n  kind: linear\n  # end\nseed: 2"),
        ("model:\n  kind: linear\n  text_input: >\n    histogram\n\nseed: 2", "model:\n  kind: linear\n\nseed: 2"),
        ('"model": {"kind": "linear", "hid\\u0064en": [8]}', '"model": {"kind": "linear"}'),
        ("model: &m {kind: linear, hidden: [8]}\ncommittee: {by: kinds, kinds: [{model: *m}]}",
         "model: &m {kind: linear}\ncommittee: {by: kinds, kinds: [{model: *m}]}"),
        ("tuning: {search: {model.embedding_width: {choices: [8, 9]}}}\nseed: 2", "seed: 2"),
        ("tuning: {search: {model.embedding_width: {choices: [8, 9]}, model.l2: {low: 0, high: 1}}}",
         "tuning: {search: {model.l2: {low: 0, high: 1}}}"),
        ("model: {kind: linear}\nrunners: {kubeflow: {parameters: [training.epochs, model.dropout]}}",
         "model: {kind: linear}\nrunners: {kubeflow: {parameters: [training.epochs]}}"),
        ("model: {kind: linear}\nrunners:\n  kubeflow:\n    parameters:\n    - model.dropout # p\n    - seed",
         "model: {kind: linear}\nrunners:\n  kubeflow:\n    parameters:\n    - seed"),
        ("model: {kind: linear}\nrunners:\n  kubeflow:\n    parameters:\n    - model.dropout",
         "model: {kind: linear}\nrunners:\n  kubeflow:\n    parameters: []"),
    ],
)  # fmt: skip
def test_only_what_goes_is_cut(tmp_path: Path, text: str, new: str) -> None:
    result = migrated(tmp_path, f"name: shop\n{text}\n")
    assert (result.new, result.problems) == (f"name: shop\n{new}\n", [])


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        # Two kinds are trained, and only one of them reads the value.
        ("model: {kind: linear, hidden: [8]}\ntuning: {search: {model.kind: {choices: [linear, deep]}}}",
         "model.hidden", "write the value in tuning.search, as model.hidden: {choices: [...]}"),
        ("model: {kind: linear}\ntraining: {solver: liblinear, epochs: 4}\n"
         "tuning: {search: {training.solver: {choices: [adam, liblinear]}}}", "training.epochs", "trains adam as well"),
        # The alias is heeded in one place and not in the other.
        ("model: &m {kind: linear, l2: 0.1}\ntraining: {solver: liblinear}\n"
         "committee: {by: kinds, kinds: [{model: *m, training: {solver: adam}}]}", "model.l2", "by hand"),
        ("feed: {format: jsnl}", "feed.format", "jsonl"),
    ],
)  # fmt: skip
def test_what_a_person_must_decide_is_said_and_not_written(tmp_path: Path, text: str, key: str, says: str) -> None:
    result = migrated(tmp_path, f"name: shop\n{text}\n")
    said = {problem.key: str(problem) for problem in result.problems}
    assert says in said[key], said
    assert migrate_text(result.new, "w.yaml").text == result.new


def test_a_search_says_what_a_kind_tries_in_place_of_the_section(tmp_path: Path) -> None:
    search = "tuning: {search: {model.kind: {choices: [linear, deep]}, model.hidden: {choices: [[4]]}}}"
    result = migrated(tmp_path, f"name: shop\nmodel: {{kind: linear, hidden: [8]}}\n{search}\n")
    assert result.new == f"name: shop\nmodel: {{kind: linear}}\n{search}\n" and not result.problems


def test_a_demo_catalogue_beside_the_workflow_is_read_on(tmp_path: Path) -> None:
    text = "name: shop\nfeed:\n  # made\n  demo: {products: 60}\n"
    assert migrated(tmp_path, text).new == text
    (tmp_path / ".demo.json").write_text("{}", "utf-8")
    result = migrated(tmp_path, text)
    assert result.new == "name: shop\nfeed:\n  # made\n  folder: .\n  demo: {products: 60}\n"
    write_file(result)
    assert load_workflow(result.path).folder == tmp_path
    assert migrated(tmp_path, "name: s\nfeed: {demo: {products: 60}}\n").new == (
        "name: s\nfeed: {folder: ., demo: {products: 60}}\n"
    )
    (problem,) = migrated(tmp_path, "name: s\nfeed: {folder: null, demo: {products: 60}}\n").problems
    assert (problem.key, problem.hint) == ("feed.folder", "write .")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "workflows").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_workflows_of_the_package_are_of_todays_shape(tmp_path: Path, path: Path) -> None:
    shutil.copy(path, tmp_path)
    result = migrate_file(tmp_path / path.name)
    assert (result.new, result.changes, result.problems) == (result.old, [], [])


KEYS = st.sampled_from(
    ["model", "training", "kind", "solver", "kinds", "committee", "tuning", "search", "model.kind", "model.hidden",
     "hidden", "choices", "feed", "demo", "features", "runners", "kubeflow", "parameters"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(["linear", "adam", "image", "model.hidden", ""])


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)))
def test_no_step_falls_over_what_is_no_workflow(data: Any) -> None:
    text = json.dumps({"name": "shop", "model": data, "committee": data, "tuning": data, "runners": data}
                      if not isinstance(data, dict) else data)  # fmt: skip
    tree = read_tree(text, "w.yaml").data
    for step in STEPS:
        list(step(tree if isinstance(tree, dict) else {}, "w.yaml"))
    migrate_text(text, "w.yaml")


def test_an_old_copy_is_never_overwritten(tmp_path: Path) -> None:
    for number in range(3):
        result = migrated(tmp_path, f"name: shop{number}\nmodel: {{kind: linear, hidden: [8]}}\n")
        write_file(result)
    kept = [(tmp_path / f"w.yaml.bak{end}").read_text("utf-8").split()[1] for end in ("", "1", "2")]
    assert kept == ["shop0", "shop1", "shop2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.yaml", "w.yaml.bak", "w.yaml.bak1", "w.yaml.bak2"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    result = migrated(tmp_path, "name: shop\nmodel: {kind: linear, hidden: [8]}\n")
    result.path.write_text("name: other\n", "utf-8")
    with pytest.raises(InputError, match="changed while"):
        write_file(result)
    assert result.path.read_text("utf-8") == "name: other\n"


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path) -> None:
    target = tmp_path / "real.yaml"
    target.write_text("name: shop\nmodel: {kind: linear, hidden: [8]}\n", "utf-8")
    target.chmod(0o640)
    (tmp_path / "link.yaml").symlink_to(target)
    backup = write_file(migrate_file(tmp_path / "link.yaml"))
    assert (tmp_path / "link.yaml").is_symlink() and "hidden" not in target.read_text("utf-8")
    assert target.stat().st_mode & 0o777 == backup.stat().st_mode & 0o777 == 0o640
