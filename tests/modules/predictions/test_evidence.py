"""What spoke for a category: effects are what the model's own answers differ by; the deciding word comes first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.examples import BRAND, VOCABULARY_INDEX, transformed
from modules.graph_ops.text import words
from modules.graph_ops.word_spans import word_spans
from modules.predictions.evidence import Effect, Reasons, check_category, evidence_of
from modules.predictions.live import LiveModel
from modules.saved_models import load_saved_model
from modules.training.run import train
from tests.modules.training import catalogue
from tests.modules.training.shared import Built

DECIDING = {
    "Shoes > Boots": "boot",
    "Shoes > Sandals": "sandal",
    "Bags > Totes": "tote",
    "Bags > Backpacks": "backpack",
}
EXACT = {"solver": "liblinear", "mixed_precision": "off"}


@pytest.fixture(scope="module")
def linear_folder(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear")
    settings = built.settings(("title", "brand"), model={"kind": "linear", "embedding_width": 12}, training=EXACT)
    files = [built.files["train"]], [built.files["eval"]]
    train(settings, catalogue.TREE, built.transform, *files, output=str(folder))
    catalogue.TREE.write(folder / "taxonomy.json")
    return folder


@pytest.fixture(scope="module")
def linear(linear_folder: Path) -> LiveModel:
    return LiveModel(linear_folder)


@pytest.fixture(scope="module")
def wide_deep(exported: tuple[object, str], tmp_path_factory: pytest.TempPathFactory) -> LiveModel:
    tree = tmp_path_factory.mktemp("tree") / "taxonomy.json"
    catalogue.TREE.write(tree)
    return LiveModel(Path(exported[1]), taxonomy=tree)


def reasons_of(model: LiveModel, category: str | None = None, **row: object) -> dict[str, tuple[Reasons, ...]]:
    asked = None if category is None else catalogue.TREE.find(category)
    evidence = evidence_of(model, catalogue.raw_example({"id": "a", **row}), asked)
    assert evidence is not None
    return dict(evidence.reasons)


def effects(reasons: Reasons) -> dict[str, float]:
    return {effect.part.text: effect.effect for effect in reasons.effects}


def test_the_deciding_word_comes_first(linear: LiveModel) -> None:
    for path, word in DECIDING.items():
        (own,) = reasons_of(linear, title=f"Model7 {word.upper()}, new", brand="brand1")["exclusive"]
        assert own.category.text == path and own.against is not None and own.probability > own.against[1]
        first = own.effects[0]
        assert (first.part.text, first.part.columns, first.part.kind) == (word, ("title",), "word") and first.effect > 1


def test_words_of_the_category_come_first_of_a_model_with_hidden_layers(wide_deep: LiveModel) -> None:
    for path, own_words in catalogue.WORDS.items():
        (own,) = reasons_of(wide_deep, title=f"Model7 {' '.join(own_words)}, new", brand="brand1")["exclusive"]
        assert own.category.text == path and own.effects[0].effect > 0.2
        assert own.effects[0].part.text in own_words


@pytest.mark.parametrize("kind", ["linear", "wide_deep"])
def test_an_effect_is_what_the_answers_differ_by(kind: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(kind)
    title = "Leather boot, leather ankle (Model7)"
    (own,) = reasons_of(model, title=title, brand="brand2")["exclusive"]
    without = {
        "leather": {"title": "boot, ankle (Model7)", "brand": "brand2"},
        "model7": {"title": "Leather boot, leather ankle", "brand": "brand2"},
        "brand2": {"title": title},
    }
    assert own.against is not None
    best, other = (model.workflow.objectives["exclusive"].classes(catalogue.TREE).index(c) for c in
                   (own.category, own.against[0]))  # fmt: skip
    rows = [{"title": title, "brand": "brand2"}, *without.values()]
    examples = [catalogue.raw_example({"id": "a", **row}) for row in rows]
    answers = model.all_probabilities(examples)
    assert answers is not None
    scores = np.log(answers["exclusive"][:, best] / answers["exclusive"][:, other])
    for place, text in enumerate(without, 1):
        assert effects(own)[text] == pytest.approx(float(scores[0] - scores[place]), abs=1e-3), text
    assert {effect.part.text: effect.part.times for effect in own.effects}["leather"] == 2


def test_of_a_linear_model_they_are_its_weights(linear: LiveModel, linear_folder: Path, built: Built) -> None:
    column = transformed(BRAND, VOCABULARY_INDEX)
    numbers = {
        row[BRAND]: int(values[column][0])
        for row, values in zip(built.rows["train"], built.columns("train", [column]), strict=True)
        if row[BRAND] in ("brand0", "brand1", "brand2", None) and len(values[column])
    }
    weights, temperature = brand_weights(linear_folder)
    classes = linear.workflow.objectives["exclusive"].classes(catalogue.TREE)
    # A product without a brand has a row of weights of its own.
    weights = weights - weights[numbers.pop(None)]
    assert len(numbers) == 3
    for brand, number in numbers.items():
        for word in DECIDING.values():
            (own,) = reasons_of(linear, title=word, brand=brand)["exclusive"]
            assert own.against is not None
            best, other = classes.index(own.category), classes.index(own.against[0])
            expected = linear.features[BRAND].scale * (weights[number, best] - weights[number, other]) / temperature
            assert effects(own)[brand] == pytest.approx(expected, abs=1e-3)
    assert np.abs(weights).max() > 0.05


def brand_weights(folder: Path) -> tuple[np.ndarray, float]:
    """Weights (brands, classes) of the exported head, and its temperature."""
    facts = json.loads((folder / "shelfmark.json").read_text())
    loaded = load_saved_model(str(folder))
    (table,) = [variable for variable in loaded.variables if variable.name.startswith("exclusive_wide_brand/")]
    return table.numpy(), facts["calibration"]["temperature"]["exclusive"]


def test_another_category_may_be_compared(linear: LiveModel) -> None:
    (usual,) = reasons_of(linear, title="leather boot tote", brand="brand0")["exclusive"]
    asked = next(path for path in DECIDING if path not in (usual.category.text, usual.against[0].text))
    (own,) = reasons_of(linear, asked, title="leather boot tote", brand="brand0")["exclusive"]
    assert own.category == usual.category and own.against is not None and own.against[0].text == asked
    assert effects(own) != effects(usual)
    (same,) = reasons_of(linear, own.category.text, title="leather boot tote", brand="brand0")["exclusive"]
    assert same.against == usual.against


def test_several_categories_are_asked_about_alone(linear: LiveModel) -> None:
    own = reasons_of(linear, title="leather boot ankle")["rule_based"]
    assert {reasons.category.text for reasons in own} == {"Shoes", "Shoes > Boots"}
    assert all(reasons.against is None and reasons.is_assigned for reasons in own)
    (other,) = reasons_of(linear, "Bags", title="leather boot ankle")["rule_based"]
    assert not other.is_assigned and other.probability < 0.5 and min(effects(other).values()) < -0.5
    only = reasons_of(linear, "Bags", title="leather boot ankle")
    assert only["exclusive"] == ()


def test_the_shift_of_thresholds_is_taken_back(linear: LiveModel) -> None:
    example = catalogue.raw_example({"id": "a", "title": "leather boot ankle"})
    batch = linear.predict([example])
    evidence = evidence_of(linear, example)
    assert batch is not None and evidence is not None
    classes = linear.workflow.objectives["rule_based"].classes(catalogue.TREE)
    numbers, values = (batch.column(f"rule_based/{part}")[0].as_py() for part in ("classes", "probabilities"))
    known = {classes[number]: value for number, value in zip(numbers, values, strict=True)}
    for reasons in evidence.reasons["rule_based"]:
        assert reasons.probability == pytest.approx(known[reasons.category], abs=1e-4)


def test_of_a_product_without_anything_there_is_no_part(linear: LiveModel) -> None:
    for row in ({}, {"title": "  "}, {"title": "!?"}):
        (own,) = reasons_of(linear, **row)["exclusive"]
        assert own.effects == () and own.largest(10) == []


def test_further_words_are_counted(linear: LiveModel) -> None:
    title = " ".join(f"w{number}" for number in range(150)) + " boot"
    evidence = evidence_of(linear, catalogue.raw_example({"id": "a", "title": title}), max_words=100)
    assert evidence is not None and (evidence.untried, evidence.parts) == (51, 100)


def test_the_largest_are_shown_in_their_order(linear: LiveModel) -> None:
    (own,) = reasons_of(linear, title="leather boot ankle summer Model7", brand="brand1")["exclusive"]
    kept: list[Effect] = own.largest(3)
    least = min(abs(effect.effect) for effect in kept)
    assert len(kept) == 3 and [effect.effect for effect in kept] == sorted((e.effect for e in kept), reverse=True)
    assert all(abs(effect.effect) <= least for effect in own.effects if effect not in kept)


def test_a_category_that_no_class_stands_for_is_refused(linear: LiveModel) -> None:
    shoes = catalogue.TREE.find("Shoes")
    check_category(linear, shoes, ["exclusive", "rule_based"])
    with pytest.raises(InputError, match="tells apart for exclusive"):
        check_category(linear, shoes, ["exclusive"])


LETTERS = st.sampled_from("abzÄßøñ019_-'/>.,\n\t ½é\u0301ी東京かナーท่日")


@given(st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=8))
def test_words_are_those_of_the_model(texts: list[str]) -> None:
    expected = [[word.decode() for word in row] for row in words(tf.constant(texts)).to_list()]
    assert [[text[start:end].lower() for start, end in word_spans(text)] for text in texts] == expected
