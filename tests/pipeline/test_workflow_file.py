"""Reading workflow files: places, sentences, overrides, folders, hostile input."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError, Problem
from pipeline.workflow_file import DEMO_WORKFLOW, LoadedWorkflow, load_workflow
from pipeline.yaml_tree import read_tree


def write(folder: Path, text: str, name: str = "w.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str, *overrides: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        load_workflow(write(folder, text), overrides)
    return list(caught.value.problems)


def by_key(problems: list[Problem]) -> dict[str, Problem]:
    assert len({p.key for p in problems}) == len(problems), problems
    return {p.key: p for p in problems}


def test_a_minimal_file_has_the_defaults_and_knows_its_lines(tmp_path: Path) -> None:
    loaded = load_workflow(write(tmp_path, "name: shop\n\nfeed:\n  files:\n    - a.csv\n    - b.csv\n"))
    assert loaded.workflow.feed.files == ("a.csv", "b.csv")
    assert loaded.workflow.model.kind == "auto" and loaded.workflow.training.solver == "liblinear"
    assert set(loaded.workflow.objectives) == {"exclusive"}
    assert loaded.folder == tmp_path
    assert loaded.lines["feed.files[1]"] == 6
    assert loaded.place("feed.files[1].deeper") == (str(tmp_path / "w.yaml"), 6)
    assert loaded.place("nowhere.at.all") == (str(tmp_path / "w.yaml"), None)


def test_every_mistake_is_reported_at_once_with_its_line_value_and_what_was_expected(tmp_path: Path) -> None:
    text = """\
name: Shop
feed:
  fils: [a]
  max_record_bytes: 12
  split: {values: {a: trn}}
epochs: 4
model:
  dropout: 1.0
  hidden: [64, 0]
training:
  batch_size: 0
  mixed_precision: yes
features:
  title: {kind: text, vocabulary: many}
  brand: {vocabulary: 5}
  size: {kind: categorial}
objectives:
  Main: {kind: exclusive}
push: somewhere
"""
    found = by_key(problems_of(tmp_path, text))
    assert {key: problem.line for key, problem in found.items()} == {
        "name": 1,
        "feed.fils": 3,
        "feed.max_record_bytes": 4,
        "feed.split.values.a": 5,
        "epochs": 6,
        "model.dropout": 8,
        "model.hidden[1]": 9,
        "training.batch_size": 11,
        "training.mixed_precision": 12,
        "features.title.vocabulary": 14,
        "features.brand.kind": 15,
        "features.size.kind": 16,
        "objectives.Main": 18,
        "push": 19,
    }
    assert all(problem.file == str(tmp_path / "w.yaml") for problem in found.values())
    assert found["feed.fils"].hint == "did you mean 'feed.files'?"
    assert found["epochs"].hint == "did you mean 'training.epochs'?"
    assert found["feed.max_record_bytes"].expected == "expected a whole number of at least 1024"
    assert found["model.dropout"].expected == "expected a number of at least 0 and below 1"
    assert found["feed.split.values.a"].expected == "expected one of: train, eval, test"
    assert found["feed.split.values.a"].hint == "did you mean 'train'?"
    assert found["training.mixed_precision"].value == "yes"
    assert found["features.size.kind"].hint == "did you mean 'categorical'?"
    assert "text" in found["features.brand.kind"].expected


def test_contradictions_have_lines_and_come_together_with_other_mistakes(tmp_path: Path) -> None:
    text = """\
name: shop
features:
  image_vector: {kind: text}
  titel: {kind: text}
labels:
  truth:
    objective: other
training:
  epochs: -1
evaluation:
  thresholds:
    exclusiv: {accuracy: 0.5}
"""
    found = problems_of(tmp_path, text)
    lines = {(p.key, p.line) for p in found}
    assert ("features.image_vector", 3) in lines
    assert ("features.titel", 4) in lines
    assert ("labels.truth", 6) in lines
    assert ("labels.truth.objective", 7) in lines
    assert ("training.epochs", 9) in lines
    assert ("evaluation.thresholds.exclusiv", 12) in lines
    assert next(p for p in found if p.key == "features.titel").hint == "did you mean 'title'?"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "objectives: {exclusive: {kind: exclusive, loss: squared_hinge, label_smoothing: 0.1}}",
            "objectives.exclusive.label_smoothing",
        ),
        (
            "objectives: {exclusive: {kind: exclusive, label_smoothing: 0.1}}\nmodel: {kind: linear}\n"
            "training: {solver: liblinear}",
            "objectives.exclusive.label_smoothing",
        ),
        ("committee: {by: kinds}", "committee.by"),
        ("committee: {by: seeds, kinds: [{model: {kind: deep}}]}\nmodel: {kind: deep}", "committee.by"),
        ("committee: {by: seeds}\nmodel: {kind: linear}\ntraining: {solver: liblinear}", "committee.by"),
        ("committee: {by: dropout}\nmodel: {kind: linear}", "committee.by"),
        ("committee: {by: dropout, combine: best}\nmodel: {kind: wide_deep}", "committee.combine"),
        ("committee: {by: kinds, kinds: [{model: {kind: lsa}}]}\nmodel: {kind: deep}", "committee.kinds[0].model.kind"),
        ("sampling: {strategy: {kind: bald}}", "sampling.strategy"),
        ("sampling: {strategy: {kind: combined, score: {kind: vote_entropy}}}", "sampling.strategy"),
        ("sampling: {strategy: {kind: batch_bald}}\ncommittee: {combine: best}", "sampling.strategy"),
    ],
)
def test_committees_that_could_not_work_are_said(tmp_path: Path, text: str, key: str) -> None:
    assert [p.key for p in problems_of(tmp_path, f"name: shop\n{text}\n")] == [key]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("features: {p: {kind: image}, q: {kind: image}}", "features.p"),
        ("feed: {fields: {image: null}}\nfeatures: {p: {kind: image}}", "features.p"),
        ("features: {p: {kind: image, backbone: InceptionV3}}", "features.p.size"),
        ("features: {p: {kind: image, backbone: MobileNet, size: [32, 31]}}", "features.p.size"),
        ("training: {self_supervised: {}}", "training.self_supervised"),
        ("training: {image_start: {}}", "training.image_start"),
        (
            "features: {p: {kind: image, train: frozen}}\ntraining: {self_supervised: {}}",
            "training.self_supervised",
        ),
        ("features: {p: {kind: image, backbone: patches}}\ntraining: {image_start: {}}", "training.image_start"),
        ("features: {p: {kind: image, backbone: patches}}\nmodel: {kind: wide_deep}", "features.p.backbone"),
        (
            "features: {p: {kind: image, backbone: patches, weights: e, size: [30, 64], patches: {scales: []}}}",
            "features.p.size",
        ),
        (
            "features: {p: {kind: image, backbone: patches}}\nmodel: {kind: linear}\n"
            "training: {solver: liblinear, metric_learning: {}}",
            "training.metric_learning",
        ),
        (
            "features: {p: {kind: image}}\nrules: {file: r.yaml}\n"
            "objectives: {r: {kind: multi_label}}\ntraining: {metric_learning: {}}",
            "training.metric_learning",
        ),
        (
            "model: {kind: linear}\ntraining: {solver: liblinear, metric_learning: {}}",
            "training.metric_learning",
        ),
        (
            "features: {p: {kind: image}}\nmodel: {kind: linear}\n"
            "training: {solver: liblinear, image_start: {epochs: 0}, metric_learning: {}}",
            "training.image_start.epochs",
        ),
        ("features: {p: {kind: image}}\ncommittee: {by: dropout}\nmodel: {dropout: 0.2}", "committee.by"),
        ("features: {p: {kind: image, train: frozen}}", "features.p.weights"),
        ("model: {modality_dropout: 0.5}", "model.modality_dropout"),
        (
            "features: {p: {kind: image, train: frozen, width: null, weights: w.h5}}\nmodel: {kind: linear}\n"
            "training: {solver: liblinear, metric_learning: {}}",
            "training.metric_learning",
        ),
        (
            "features: {p: {kind: image, train: frozen, weights: w.h5}}\ncommittee: {by: kinds, kinds: "
            "[{model: {kind: deep}, training: {self_supervised: {}}}]}",
            "committee.kinds[0].training.self_supervised",
        ),
        (
            "features: {p: {kind: image, backbone: patches}}\nmodel: {kind: linear}\ntraining: {solver: liblinear}\n"
            "committee: {by: kinds, kinds: [{model: {kind: deep}, training: {solver: adam}}]}",
            "committee.kinds[0].training.solver",
        ),
    ],
)
def test_image_settings_that_could_not_work_are_said(tmp_path: Path, text: str, key: str) -> None:
    assert key in {p.key for p in problems_of(tmp_path, f"name: shop\n{text}\n")}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("backbone: MobileNetV9", "MobileNetV2"),
        ("backbone: keras", "weights"),
        ("backbone: savedmodel, weights: encoder", "frozen"),
        ("weights: imagenet", "keras.applications"),
        ("pixels: caffe", "pixels"),
        ("size: [4, 64]", "8"),
        ("column: title", "image_bytes"),
        ("channels: [16]", "2 to 7"),
        ("backbone: patches, train: frozen", "leave train out"),
        ("backbone: patches, weights: imagenet", "efficientnet-lite0"),
        ("backbone: patches, patches: {scales: []}", "weights has to name"),
        ("backbone: patches, patches: {encoder: {grid: 3}}", "it names none"),
        ("backbone: patches, weights: e, patches: {encoder: {outputs: [head, head]}}", "twice"),
        ("backbone: patches, weights: e, patches: {encoder: {outputs: []}}", "stage1"),
        ("backbone: patches, weights: e, patches: {encoder: {share: 1.0}}", "1"),
        ("backbone: patches, patches: {scales: [[6, 1], [6, 1]]}", "twice"),
        ("backbone: patches, patches: {copies: 2}, augmentation: null", "augmentation"),
        ("backbone: patches, patches: {copies: 3, pictures: 10000}", "lower pictures or copies"),
        ("backbone: patches, size: [14, 14]", "too few patches"),
    ],
)
def test_an_image_feature_that_contradicts_itself_is_said(tmp_path: Path, settings: str, says: str) -> None:
    found = problems_of(tmp_path, f"name: shop\nfeatures:\n  p: {{kind: image, {settings}}}\n")
    assert [p.line for p in found] == [3] and found[0].key.startswith("features.p"), found
    assert says in f"{found[0].expected} {found[0].hint}", found


def test_a_wrong_value_causes_no_contradiction_that_would_vanish_with_it(tmp_path: Path) -> None:
    text = "name: shop\nrules: {file: 3}\nobjectives: {r: {kind: multi_label, labels: rules}}\n"
    assert [p.key for p in problems_of(tmp_path, text)] == ["rules.file"]


@pytest.mark.parametrize(
    ("taxonomy", "key"),
    [
        ("{file: null}", "taxonomy.file"),
        ("{file: t.yaml, from_truth: true}", "taxonomy.file"),
        ("{from_truth: true}", "taxonomy.from_truth"),
    ],
)
def test_a_taxonomy_comes_from_one_place(tmp_path: Path, taxonomy: str, key: str) -> None:
    assert [p.key for p in problems_of(tmp_path, f"name: shop\ntaxonomy: {taxonomy}\n")] == [key]


def test_types_are_strict(tmp_path: Path) -> None:
    text = 'name: shop\nseed: "7"\ntraining: {epochs: true, batch_size: 8.5}\nmodel: {dropout: "0.1"}\n'
    found = by_key(problems_of(tmp_path, text))
    assert set(found) == {"seed", "training.epochs", "training.batch_size", "model.dropout"}


@pytest.mark.parametrize("number", [".inf", ".nan", "1e400"])
def test_numbers_are_finite(tmp_path: Path, number: str) -> None:
    assert [p.key for p in problems_of(tmp_path, f"name: s\ntraining: {{learning_rate: {number}}}\n")] == [
        "training.learning_rate"
    ]


def test_duplicate_keys_are_errors(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "name: shop\nseed: 1\nmodel: {}\nseed: 2\n")
    assert (problem.key, problem.line) == ("seed", 4)
    assert "line 2" in problem.expected


def test_yaml_1_2_scalars() -> None:
    text = "a: on\nb: no\nc: 2e-3\nd: 0o17\ne: 0x1F\nf: 12:30\ng: 1_000\nh: ~\ni: 2020-01-01\nj: '5'\nk: true\n"
    text += "l: !!str 5\n"
    assert read_tree(text, "t").data == {
        "a": "on", "b": "no", "c": 0.002, "d": 15, "e": 31, "f": "12:30", "g": "1_000", "h": None, "i": "2020-01-01",
        "j": "5", "k": True, "l": "5",
    }  # fmt: skip


def test_aliases_are_their_values_written_out() -> None:
    text = "base: &base\n  list: &list [1, {a: &one 1}]\nmore:\n- *base\n- *list\n- {x: *one}\n- &base again\n- *base\n"
    tree = read_tree(text, "t")
    assert not tree.problems and tree.data == {
        "base": {"list": (1, {"a": 1})},
        "more": ({"list": (1, {"a": 1})}, (1, {"a": 1}), {"x": 1}, "again", "again"),
    }
    assert tree.lines["base", "list"] == 2 and tree.lines["more", 0] == 4 and tree.lines["more", 2, "x"] == 6


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "[" * 5000,
        "a:\n" + "".join(" " * (i + 1) + f"a{i}:\n" for i in range(80)),
        "a: &a [*a]",
        "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20,
        BOMB,
        "a: 1\n---\nb: 2\n",
        "\0",
        "a: *unknown",
        "- a list",
        "just text",
        "x: " + "a" * 1_100_000,
    ],
    ids=["open", "brackets", "deep", "itself", "deep-alias", "bomb", "two", "nul", "alias", "list", "text", "huge"],
)
def test_hostile_yaml_is_an_input_error(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.file == str(tmp_path / "w.yaml")


def test_tags_build_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    found = problems_of(tmp_path, f"name: shop\nseed: !!python/object/apply:os.mkdir ['{marker}']\n")
    assert found and not marker.exists()
    found = problems_of(tmp_path, "name: !!python/name:os.system x\n")
    assert any("tags" in p.expected for p in found)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"name: shop\nseed: \xff\n")
    with pytest.raises(InputError) as caught:
        load_workflow(path)
    assert caught.value.problems[0].line == 2
    for missing in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError):
            load_workflow(missing)


@settings(deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "feed", "features", "title", "kind", "text", "objectives", "labels", "truth", "model"])
        | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_data_is_settings_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    import yaml

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), "utf-8")
    try:
        assert isinstance(load_workflow(path), LoadedWorkflow)
    except InputError as error:
        assert all(str(problem) for problem in error.problems) and error.problems


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, "name: shop\nmodel: {dropout: 0.1, hidden: [8]}\n")
    loaded = load_workflow(
        path,
        [
            "model.hidden=[32, 16]",
            "training.epochs=3",
            "training.epochs=4",
            "rules.file=r.yaml",
            "feed.fields.brand=null",
        ],
    )
    assert loaded.workflow.model.hidden == (32, 16)
    assert loaded.workflow.model.dropout == 0.1
    assert loaded.workflow.training.epochs == 4
    assert loaded.workflow.feed.fields.brand is None
    assert set(loaded.workflow.objectives) == {"exclusive", "rule_based"}
    assert loaded.place("model.hidden[0]") == ("--set", None)
    assert loaded.place("model.dropout") == (str(path), 2)


def test_overriding_one_default_feature_or_objective_keeps_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, "name: shop\n")
    default = load_workflow(path).workflow
    changed = load_workflow(
        path, ["objectives.rule_based.weight=0.5", "features.title.vocabulary=100", "rules.file=r.yaml"]
    ).workflow
    assert set(changed.features) == set(default.features)
    assert changed.features["title"].vocabulary == 100  # type: ignore[union-attr]
    assert changed.features["brand"] == default.features["brand"]
    assert changed.objectives["rule_based"].weight == 0.5
    assert set(changed.objectives) == {"exclusive", "rule_based"}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("nothing", ""),
        ("=3", ""),
        ("model..hidden=3", ""),
        ("model.hidden=[", "model.hidden"),
        ("name.first=x", "name.first"),
        ("model.dropout=2", "model.dropout"),
        ("modle.dropout=0.2", "modle"),
        ("model.dropout=!!python/none x", "model.dropout"),
        ("seed=\udcff", ""),
    ],
)
def test_bad_overrides_are_reported_as_such(tmp_path: Path, override: str, key: str) -> None:
    (problem,) = problems_of(tmp_path, "name: shop\n", override)
    assert (problem.file, problem.key) == ("--set", key)


def test_an_override_mends_a_wrong_value(tmp_path: Path) -> None:
    path = write(tmp_path, "name: shop\nseed: -1\n")
    with pytest.raises(InputError):
        load_workflow(path)
    assert load_workflow(path, ["seed=1"]).workflow.seed == 1


def test_the_base_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inside", "env", "given"):
        (tmp_path / name).mkdir()
    path = write(tmp_path, "name: s\nfeed: {folder: inside, folder_env: SHELFMARK_TEST_FEED}\n")
    monkeypatch.delenv("SHELFMARK_TEST_FEED", raising=False)
    assert load_workflow(path).folder == tmp_path / "inside"
    monkeypatch.setenv("SHELFMARK_TEST_FEED", str(tmp_path / "env"))
    assert load_workflow(path).folder == tmp_path / "env"
    assert load_workflow(path, (), tmp_path / "given").folder == tmp_path / "given"
    with pytest.raises(InputError, match="--feed"):
        load_workflow(path, (), tmp_path / "missing")
    monkeypatch.delenv("SHELFMARK_TEST_FEED")
    only_env = write(tmp_path, "name: s\nfeed: {folder_env: SHELFMARK_TEST_FEED}\n", "env.yaml")
    with pytest.raises(InputError, match="SHELFMARK_TEST_FEED"):
        load_workflow(only_env)


def test_a_generated_catalogue_lies_beside_the_runs_and_not_beside_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = tmp_path / "installed" / "w.yaml"
    workflow.parent.mkdir()
    workflow.write_text("name: toy\nfeed: {demo: {products: 60}}\n")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    assert load_workflow(workflow).folder == work / "runs" / "toy-catalogue"
    assert load_workflow(workflow, ["runners.local.folder=/elsewhere"]).folder == Path("/elsewhere/toy-catalogue")
    assert load_workflow(workflow, ["feed.folder=data"]).folder == workflow.parent / "data"
    assert load_workflow(workflow, (), tmp_path / "given").folder == tmp_path / "given"


def test_files_are_searched_in_the_base_folder_first(tmp_path: Path) -> None:
    (tmp_path / "feed").mkdir()
    path = write(tmp_path, "name: s\nfeed: {folder: feed}\nrules: {file: r.yaml}\nlabels: {files: [l.jsonl]}\n")
    for name in (
        "feed/taxonomy.yaml",
        "taxonomy.yaml",
        "r.yaml",
        "feed/l.jsonl",
        "feed/a.jsonl",
        "feed/b.csv.gz",
        "c.csv",
    ):
        (tmp_path / name).touch()
    loaded = load_workflow(path)
    assert loaded.taxonomy_file == tmp_path / "feed" / "taxonomy.yaml"
    assert loaded.rules_file == tmp_path / "r.yaml"
    # The labels lie among the feeds and match *.jsonl, but are no feed.
    assert [file.path for file in loaded.feed_files()] == [
        str(tmp_path / "feed" / "a.jsonl"),
        str(tmp_path / "feed" / "b.csv.gz"),
    ]


@pytest.mark.parametrize("path", sorted(DEMO_WORKFLOW.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_workflows_load(path: Path, tmp_path: Path) -> None:
    loaded = load_workflow(path, (), tmp_path)
    assert loaded.workflow.name == path.stem.replace("_", "-")
