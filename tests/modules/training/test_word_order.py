"""A case for a phone is no phone for a case: what encoders that read words in their order learn, and bags cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from modules.predictions.columns import objective_column
from modules.settings.workflow import Workflow
from modules.training.run import train
from tests.modules.training import catalogue

pytestmark = pytest.mark.slow

TREE = catalogue.TREE
LEAVES = [i for i, c in enumerate(TREE.exclusive) if TREE.path_text(c) in catalogue.WORDS]
NOUNS = [[f"noun{chr(97 + leaf)}{chr(97 + number)}" for number in range(5)] for leaf in range(len(LEAVES))]
CODES = ("qx", "vj", "zk", "wy")
"""How the words begin that stand in no second product, by category."""
VOCABULARY = sum(map(len, NOUNS)) + 1


def titles(count: int, seed: int) -> list[tuple[str, int, bool]]:
    """Title, category, and whether the order of the words tells it: ``A for B`` is an A; else a rare word does.

    Pairs of words of even and of odd seeds are different ones.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, int, bool]] = []
    while len(rows) < count:
        category, other = rng.choice(len(LEAVES), 2, replace=False)
        first, second = rng.integers(5, size=2)
        held_out = (first + second) % 5 == 0
        if held_out == (seed % 2 == 1):
            rows.append((f"{NOUNS[category][first]} for {NOUNS[other][second]}", int(category), True))
        if len(rows) % 3 == 0:
            rows.append((f"{CODES[category]}{rng.integers(10**6):06}", int(category), False))
    return rows


def products(count: int, seed: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{seed}-{i}", "title": title, "truth": LEAVES[leaf], "label/exclusive": LEAVES[leaf],
         "label/rule_based": []}
        for i, (title, leaf, _) in enumerate(titles(count, seed))
    ]  # fmt: skip


def workflow(encoder: dict[str, Any] | None = None, kind: str = "deep") -> Workflow:
    title = {"kind": "text", "vocabulary": VOCABULARY, "width": 16}
    if kind != "deep":
        title["characters"] = {"ngrams": [2, 3], "buckets": 4096}
    hidden = {} if kind == "linear" else {"hidden": [32], "dropout": 0.0}
    return catalogue.workflow(
        features={"title": {**title, **({"encoder": encoder} if encoder else {})}},
        model={"kind": kind, **hidden},
        objectives={"exclusive": {"kind": "exclusive"}},
        training={"epochs": 25, "batch_size": 32, "learning_rate": 0.01, "mixed_precision": "off"},
    )


@dataclass(frozen=True)
class Learnt:
    """Share of unseen products with the right category: those that the order tells, and those that a rare word does."""

    order: float
    rare: float


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory):
    """(workflow) -> :class:`Learnt`, by the exported model, from raw text."""
    rows = {"train": products(900, 2), "eval": products(200, 4)}
    unseen = titles(400, 5)

    def of(settings: Workflow) -> Learnt:
        folder = tmp_path_factory.mktemp("order")
        transform, files = catalogue.transformed(folder, settings, rows)
        output = str(folder / "model")
        analysed = tft.TFTransformOutput(transform)
        train(settings, TREE, analysed, [files["train"]], [files["eval"]], output=output)
        serve = tf.saved_model.load(output).signatures["serving_default"]
        examples = [catalogue.raw_example(row) for row in products(400, 5)]
        top = serve(examples=tf.constant(examples))[objective_column("exclusive", "classes")].numpy()[:, 0]
        right = top == np.array([LEAVES[leaf] for _, leaf, _ in unseen])
        order = np.array([told for _, _, told in unseen])
        return Learnt(right[order].mean(), right[~order].mean())

    return of


@pytest.mark.parametrize(
    "encoder",
    [
        {"kind": "cnn", "widths": [2, 3], "filters": 24, "dropout": 0.2},
        {"kind": "gru", "units": 24},
        {"kind": "lstm", "units": 24, "bidirectional": True},
    ],
    ids=lambda encoder: encoder["kind"],
)
def test_encoders_of_sequences_learn_the_order(learnt, encoder: dict[str, Any]) -> None:
    assert learnt(workflow(encoder)).order > 0.95


def test_a_linear_model_and_means_cannot(learnt) -> None:
    assert learnt(workflow(kind="linear")).order < 0.65
    assert learnt(workflow({"kind": "mean"})).order < 0.65


def test_the_wide_part_adds_rare_words(learnt) -> None:
    both = learnt(workflow({"kind": "cnn", "widths": [2, 3], "filters": 24, "dropout": 0.2}, kind="wide_deep"))
    assert both.order > 0.95 and both.rare > 0.95
    assert learnt(workflow({"kind": "cnn", "widths": [2, 3], "filters": 24})).rare < 0.6
