"""Examples: labels, true categories and rules end up in the features that the contract names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modules.feeds.joining import Joiner, Signature, label_table, unknown_assigned_problems, unknown_problems
from modules.feeds.mapping import Product
from modules.labels.model import ResolvedLabel, ResolvedLabels
from modules.objectives import ExclusiveObjective, MultiLabelObjective
from modules.rules import Leaf, Rule, RuleSet
from modules.settings.workflow import LabelsSettings, TruthSettings
from modules.taxonomy import Taxonomy

tf = pytest.importorskip("tensorflow")

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals", "Home > Lamps", "Shoes"], exclusive="leaves")
CLASS = {category.text: i for i, category in enumerate(TAXONOMY.exclusive)}
INDEX = {category.text: category.index for category in TAXONOMY}
ID = {category.text: category.id for category in TAXONOMY}
OBJECTIVES = {"exclusive": ExclusiveObjective(), "rule_based": MultiLabelObjective()}
RULES = RuleSet(
    (
        Rule("r-boot", ID["Shoes > Boots"], Leaf("title", "word", ("boot",))),
        Rule("r-lamp", ID["Home > Lamps"], Leaf("title", "word", ("lamp",))),
        Rule("r-red", ID["Shoes > Sandals"], Leaf("color", "equals", ("red",))),
    ),
    TAXONOMY,
)


def person(
    category: str | None = None, source: str = "random", probability: float | None = None, yes: Any = (), no: Any = ()
) -> ResolvedLabel:
    category_id = ID[category] if category else None
    return ResolvedLabel(category_id, tuple(map(ID.get, yes)), tuple(map(ID.get, no)), source, probability, ("p",), 1.0)


def features(
    product: Product,
    labels: dict[str, dict[str, ResolvedLabel]] | None = None,
    split: str = "train",
    objectives: Any = OBJECTIVES,
    rules: RuleSet | None = RULES,
    **settings: Any,
) -> tuple[dict[str, list], Signature]:
    chosen = LabelsSettings(**settings)
    resolved = ResolvedLabels({name: (labels or {}).get(name, {}) for name in objectives}, {})
    table = label_table(resolved, objectives, TAXONOMY, chosen)
    joiner = Joiner(objectives, TAXONOMY, rules, table, chosen)
    # Everything is asked for twice: what a cache gives must be what was worked out.
    first, second = (joiner.example(product, split, "a.csv", 7) for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    parsed = tf.train.Example.FromString(first[0]).features.feature
    return {name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in parsed.items()}, first[1]


def product(**text: str) -> Product:
    return Product("p1", text, {})


@pytest.mark.parametrize(("unreached", "weight"), [("unknown", 0.0), ("no", 1.0)])
def test_an_unlabelled_product_that_no_rule_reaches(unreached: Any, weight: float) -> None:
    vectors = {"image_vector": np.array([1, 2], np.float32)}
    objectives = OBJECTIVES | {"rule_based": MultiLabelObjective(unreached=unreached)}
    found, counted = features(Product("é1", {"title": "Hat", "brand": "ü"}, vectors), objectives=objectives)
    assert found == {
        "id": ["é1".encode()],
        "title": [b"Hat"],
        "brand": ["ü".encode()],
        "image_vector": [1.0, 2.0],
        "rules": [],
        "label/exclusive": [-1],
        "eval_weight/exclusive": [0.0],
        "label/rule_based": [],
        "eval_weight/rule_based": [weight],
        "top_category": [b""],
    }
    assert counted == Signature("train", False, ())


def test_rules_imply_ancestors_and_the_first_gives_the_slice() -> None:
    found, counted = features(product(title="Lamp boot", color="Red"))
    assert found["rules"] == [b"r-boot", b"r-lamp", b"r-red"]
    assert sorted(found["label/rule_based"]) == sorted(INDEX.values())
    assert found["top_category"] == [b"Shoes"]
    assert found["eval_weight/rule_based"] == [1.0]
    assert counted == Signature("train", True, (("rule_based", "rules"),))
    found, _ = features(product(title="Boots lamp"))
    assert found["label/rule_based"] == sorted([INDEX["Home"], INDEX["Home > Lamps"]])
    assert found["top_category"] == [b"Home"]


@pytest.mark.parametrize(
    ("label", "settings", "weight"),
    [
        (person("Shoes > Boots", "random", 0.25), {}, 4.0),
        (person("Shoes > Boots", "random"), {}, 1.0),
        (person("Shoes > Boots", "margin"), {}, 0.0),
        (person("Shoes > Boots", "import"), {}, 0.0),
        (person("Shoes > Boots", "import"), {"evaluate_imported": True}, 1.0),
        (person("Shoes > Boots", "margin"), {"evaluate_imported": True}, 0.0),
    ],
)
def test_only_labels_drawn_without_a_choice_are_measured_on(label: ResolvedLabel, settings: Any, weight: float) -> None:
    found, counted = features(product(title="lamp"), {"exclusive": {"p1": label}}, **settings)
    assert found["label/exclusive"] == [CLASS["Shoes > Boots"]]
    assert found["label_source/exclusive"] == [label.source.encode()]
    assert found["eval_weight/exclusive"] == [weight]
    assert found["top_category"] == [b"Shoes"]
    assert counted.labels == (("rule_based", "rules"), ("exclusive", label.source))


def test_none_of_these_is_no_class_but_overrules_the_truth() -> None:
    truth = TruthSettings(evaluate=True)
    sold = Product("p1", {"title": "x"}, {}, truth=("Home", "Lamps"))
    found, counted = features(sold, {"exclusive": {"p1": person(None)}}, truth=truth)
    assert (found["label/exclusive"], found["eval_weight/exclusive"]) == ([-1], [0.0])
    assert "label_source/exclusive" not in found
    assert counted.labels == ()
    found, _ = features(sold, {"exclusive": {"p1": person("Shoes > Boots", "margin")}}, truth=truth)
    assert (found["label/exclusive"], found["eval_weight/exclusive"]) == ([CLASS["Shoes > Boots"]], [0.0])


@pytest.mark.parametrize(
    ("names", "truth", "split", "expected"),
    [
        (("Home", "Lamps"), {}, "test", ("Home > Lamps", 0.0)),
        (("Home", "Lamps"), {"evaluate": True}, "test", ("Home > Lamps", 1.0)),
        (("Home > Lamps",), {}, "test", ("Home > Lamps", 0.0)),
        (("Home", "Lamps"), {"splits": ("train",)}, "test", None),
        (("Home", "Lamps"), {"splits": ("train",)}, "train", ("Home > Lamps", 0.0)),
        (("Home",), {}, "test", None),
        (("Home", "Lamps", "Desk"), {"cut_to_taxonomy": True}, "test", ("Home > Lamps", 0.0)),
        (("Home", "Chairs"), {"cut_to_taxonomy": True}, "test", None),
        (("Nowhere",), {"cut_to_taxonomy": True}, "test", None),
        ((), {}, "test", None),
    ],
)
def test_truth(names: tuple[str, ...], truth: Any, split: str, expected: tuple[str, float] | None) -> None:
    sold = Product("p1", {"title": "x"}, {}, truth=names)
    found, counted = features(sold, split=split, truth=TruthSettings(**truth))
    assert found["label/exclusive"] == ([CLASS[expected[0]]] if expected else [-1])
    assert found["eval_weight/exclusive"] == [expected[1] if expected else 0.0]
    assert counted.labels == ((("exclusive", "import"),) if expected else ())


def test_several_truths_are_all_independent_labels_and_the_first_is_the_exclusive_one() -> None:
    objectives = {"exclusive": ExclusiveObjective(), "also": MultiLabelObjective(labels="people")}
    truths = (("Home", "Lamps"), ("Shoes", "Boots"))
    sold = Product("p1", {"title": "x"}, {}, truth=truths[0], truths=truths)
    truth = TruthSettings(independent="also", evaluate=True)
    found, counted = features(sold, objectives=objectives, truth=truth)
    assert found["label/exclusive"] == [CLASS["Home > Lamps"]]
    yes = {INDEX[name] for name in ("Home", "Home > Lamps", "Shoes", "Shoes > Boots")}
    assert set(found["label/also"]) == yes and set(found["label/also/no"]) == set(INDEX.values()) - yes
    assert found["label_source/also"] == [b"import"] and found["eval_weight/also"] == [1.0]
    assert counted.labels == (("exclusive", "import"), ("also", "import"))
    # What a person said counts before it, and without the setting nothing but the exclusive label follows.
    said = person(source="random", yes=["Home"])
    found, _ = features(sold, {"also": {"p1": said}}, objectives=objectives, truth=truth)
    assert (found["label/also"], found["label/also/no"]) == ([INDEX["Home"]], [])
    found, _ = features(sold, objectives=objectives, truth=TruthSettings())
    assert (found["label/also"], found["label/also/no"]) == ([], [])


@pytest.mark.parametrize("cut", [False, True])
def test_an_unknown_one_of_several_truths_is_told_unless_truths_are_cut(cut: bool) -> None:
    objectives = {"also": MultiLabelObjective(labels="people")}
    truths = (("Home", "Lamps"), ("Sale", "Winter"))
    sold = Product("p1", {"title": "x"}, {}, truth=truths[0], truths=truths)
    truth = TruthSettings(independent="also", cut_to_taxonomy=cut)
    joiner = Joiner(objectives, TAXONOMY, None, {}, LabelsSettings(truth=truth))
    assert joiner.example(sold, "train", "a.csv", 3)[1].labels == (("also", "import"),)
    assert joiner.take_unknown() == ([] if cut else [(("Sale", "Winter"), "a.csv", 3, 1)])


def test_an_unknown_truth_is_said_with_place_number_and_nearest() -> None:
    joiner = Joiner(OBJECTIVES, TAXONOMY, None, {}, LabelsSettings(truth=TruthSettings()))
    for line in range(3, 6):
        joiner.example(Product(str(line), {"title": "x"}, {}, truth=("Home", "Lamp")), "test", "a.csv", line)
    unknown = joiner.take_unknown()
    assert unknown == [(("Home", "Lamp"), "a.csv", 3, 3)]
    assert joiner.take_unknown() == []
    (problem,) = unknown_problems([*unknown, (("Home", "Lamp"), "a.csv", 2, 5)], TAXONOMY, "path")
    assert str(problem) == (
        "a.csv:2: path = 'Home > Lamp': not in the taxonomy (8 products); did you mean 'Home > Lamps'?"
    )
    many = [((f"x{i}",), "a", 1, 1) for i in range(50)]
    assert len(unknown_problems(many, TAXONOMY, "path")) == 21


def test_people_s_yes_and_no() -> None:
    objectives = {"style": MultiLabelObjective(labels="people")}
    label = person(source="random", probability=0.5, yes=["Shoes > Boots"], no=["Home", "Home > Lamps"])
    found, counted = features(product(title="boot"), {"style": {"p1": label}}, objectives=objectives)
    assert found["label/style"] == [INDEX["Shoes > Boots"]]
    assert sorted(found["label/style/no"]) == sorted([INDEX["Home"], INDEX["Home > Lamps"]])
    assert found["label_source/style"] == [b"random"]
    assert found["eval_weight/style"] == [2.0]
    assert counted == Signature("train", True, (("style", "random"),))
    found, counted = features(product(title="hat"), objectives=objectives)
    assert (found["label/style"], found["label/style/no"], found["eval_weight/style"]) == ([], [], [0.0])
    assert "label_source/style" not in found


def test_without_rules() -> None:
    found, _ = features(product(title="boot"), rules=None, objectives={"exclusive": ExclusiveObjective()})
    assert found["rules"] == [] and "label/rule_based" not in found


@pytest.mark.parametrize(("labelled", "sold"), [("42.0", "42"), ("42", "42.0"), ("42.00", "42.00"), ("007", "007")])
def test_ids_that_a_spreadsheet_made_numbers_find_their_product(labelled: str, sold: str) -> None:
    objectives = {"exclusive": ExclusiveObjective()}
    resolved = ResolvedLabels({"exclusive": {labelled: person("Shoes > Boots"), "gone": person("Home > Lamps")}}, {})
    table = label_table(resolved, objectives, TAXONOMY, LabelsSettings())
    joiner = Joiner(objectives, TAXONOMY, None, table, LabelsSettings())
    _, counted = joiner.example(Product(sold, {"title": "x"}, {}), "train", "a.csv", 2)
    assert counted.labels == (("exclusive", "random"),)
    assert joiner.take_joined() == {"exclusive": [labelled]} and joiner.take_joined() == {}
    assert joiner.example(Product("7", {"title": "x"}, {}), "train", "a.csv", 3)[1].labels == ()


def learnt(
    objective: Any, labels: Any = (), assignments: Any = (), columns: Any = (), rules: RuleSet | None = None
) -> Any:
    """Titles to the categories that a linear head learns from one objective's sources, on words."""
    words = ["boot", "sandal", "lamp", "desk", "pen", "red", "blue"]
    titles = [f"{word} {colour}" for word in words[:5] for colour in words[5:]] * 4
    objectives = {"exclusive": ExclusiveObjective(), "o": objective}
    resolved = ResolvedLabels(
        {"exclusive": dict(labels) if objective.label_sources.objectives else {}, "o": dict(labels)}, {}
    )
    table = label_table(resolved, objectives, TAXONOMY, LabelsSettings(), dict(assignments))
    joiner = Joiner(objectives, TAXONOMY, rules, table, LabelsSettings())
    made = []
    for i, title in enumerate(titles):
        sold = Product(f"p{i}", {"title": title}, {}, assigned={name: f(title) for name, f in columns})
        made.append(joiner.example(sold, "train", "a.csv", i)[0])
    parsed = tf.io.parse_example(made, objective.label_spec("o"))
    targets = objective.targets("o", parsed, len(TAXONOMY)).numpy()
    matrix = np.array([[word in title.split() for word in words] for title in titles], float)
    rows = objective.labelled(targets)
    weights, biases = objective.fit_linear(matrix[rows], targets[rows], len(TAXONOMY), c=10.0, seed=1)
    over = matrix @ weights + biases > 0
    texts = [category.text for category in TAXONOMY]
    return {title: {texts[c] for c in np.flatnonzero(row)} for title, row in zip(titles, over, strict=True)}


WANTED = {"boot": "Shoes > Boots", "sandal": "Shoes > Sandals", "lamp": "Home > Lamps"}


def told(title: str) -> str:
    return WANTED.get(title.split(maxsplit=1)[0], "")


def everything(titles: Any = None) -> dict[str, str]:
    words = [word for word in ["boot", "sandal", "lamp", "desk", "pen"] for _ in range(2)] * 4
    return {f"p{i}": WANTED[word] for i, word in enumerate(words) if word in WANTED}


@pytest.mark.parametrize("source", ["people", "model", "file:old.csv", "column:old", "objective:exclusive"])
def test_labels_that_only_say_yes_never_train_to_a_yes_for_everything(source: str) -> None:
    objective = MultiLabelObjective.model_validate({"labels": {"sources": [source]}})
    texts = everything()
    above = {text: [text[: text.index(" >")], text] for text in WANTED.values()}
    options: dict[str, Any] = {}
    if source in ("people", "model"):
        origin = "import" if source == "people" else "model"
        options["labels"] = {p: person(source=origin, yes=above[text]) for p, text in texts.items()}
    elif source == "objective:exclusive":
        options["labels"] = {p: person(text) for p, text in texts.items()}
    elif source == "file:old.csv":
        options["assignments"] = {"old.csv": {p: (ID[text],) for p, text in texts.items()}}
    else:
        options["columns"] = [("old", told)]
    for title, found in learnt(objective, **options).items():
        wanted = told(title)
        # What stands above a category is right as well where most labelled products are below it.
        assert found & set(WANTED.values()) == ({wanted} if wanted else set()), title


def test_one_category_of_which_nobody_says_what_is_not_in_it_is_not_predicted() -> None:
    objective = MultiLabelObjective.model_validate({"labels": {"sources": ["file:old.csv"]}})
    learnt_of = learnt(objective, assignments={"old.csv": {f"p{i}": (ID["Home > Lamps"],) for i in (4, 5)}})
    assert set().union(*learnt_of.values()) == set()


def test_people_come_first_and_models_only_where_they_are_named() -> None:
    objectives: dict[str, Any] = {
        "both": MultiLabelObjective.model_validate({"labels": {"sources": ["people", "file:f"]}}),
        "chance": ExclusiveObjective.model_validate({"labels": {"sources": ["people"], "sampling": "random"}}),
    }
    labels = {"p1": person(yes=["Home"], no=["Shoes"]), "p2": person(source="model", yes=["Home"])}
    chosen = {
        "p1": person("Home > Lamps"),
        "p2": person("Home > Lamps", "margin"),
        "p3": person("Home > Lamps", "model"),
    }
    resolved = ResolvedLabels({"both": labels, "chance": chosen}, {})
    assignments = {"f": {"p1": (ID["Shoes"],), "p2": (ID["Shoes > Boots"], ID["Home"])}}
    table = label_table(resolved, objectives, TAXONOMY, LabelsSettings(evaluate_imported=True), assignments)
    assert set(table["chance"]) == {"p1"}
    assert table["both"]["p1"].classes == (INDEX["Home"],) and not table["both"]["p1"].rest
    second = table["both"]["p2"]
    assert set(second.classes) == {INDEX["Shoes"], INDEX["Shoes > Boots"], INDEX["Home"]}
    assert (second.rest, second.weight, second.source) == (True, 0.0, "assigned")


@pytest.mark.parametrize("split", ["train", "eval", "test"])
def test_what_a_model_says_is_learnt_from_and_judges_nothing(split: str) -> None:
    objectives = {
        "exclusive": ExclusiveObjective.model_validate({"labels": {"sources": ["people", "model"]}}),
        "themes": MultiLabelObjective.model_validate({"labels": {"sources": ["people", "model"]}}),
    }
    for source in ("model", "margin"):
        said = {
            "exclusive": {"p1": person("Home > Lamps", source)},
            "themes": {"p1": person(source=source, yes=["Home"], no=["Shoes"])},
        }
        found, counted = features(product(title="x"), said, split, objectives, rules=None)
        learnt = split == "train" or source != "model"
        assert found["label/exclusive"] == [CLASS["Home > Lamps"] if learnt else -1]
        assert found["label/themes"] == ([INDEX["Home"]] if learnt else [])
        assert counted.labels == ((("exclusive", source), ("themes", source)) if learnt else ())
        assert found["eval_weight/exclusive"] == [0.0]


def test_an_unknown_assigned_category_is_said() -> None:
    objectives = {"o": MultiLabelObjective.model_validate({"labels": {"sources": ["column:old"]}})}
    joiner = Joiner(objectives, TAXONOMY, None, {"o": {}}, LabelsSettings())
    for line in (3, 4):
        sold = Product(str(line), {"title": "x"}, {}, assigned={"old": "Home > Lamp"})
        joiner.example(sold, "train", "a.csv", line)
    unknown = joiner.take_unknown_assigned()
    assert unknown == [("old", "Home > Lamp", "a.csv", 3, 2)] and joiner.take_unknown_assigned() == []
    (problem,) = unknown_assigned_problems(unknown, TAXONOMY)
    assert str(problem) == (
        "a.csv:3: old = 'Home > Lamp': not in the taxonomy (2 products); did you mean 'Home > Lamps'?"
    )


def test_rules_beside_another_source() -> None:
    objectives = {"o": MultiLabelObjective.model_validate({"labels": {"sources": ["people", "rules"]}})}
    found, counted = features(product(title="boot"), objectives=objectives)
    assert found["label/o"] == [INDEX["Shoes"], INDEX["Shoes > Boots"]] and found["label/o/rest"] == [1]
    assert found["eval_weight/o"] == [0.0] and counted.labels == (("o", "rules"),)
    said = person(source="random", yes=["Home"], no=["Shoes"])
    found, counted = features(product(title="boot"), {"o": {"p1": said}}, objectives=objectives)
    assert found["label/o"] == [INDEX["Home"]] and "label/o/rest" not in found
    assert counted.labels == (("o", "random"),)
    assert features(product(title="hat"), objectives=objectives)[0]["label/o"] == []
