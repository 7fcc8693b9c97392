"""What Transform makes of an encoder's vectors, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from modules.examples import VECTOR, transformed
from modules.features.encoded import EncodedFeature
from modules.settings.workflow import Workflow
from tests.modules.training.shared import ENCODED, FEATURES, Built


def vectors(built: Built, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The raw vectors of a split's products, zeros for those without a usable one, and which have one."""
    given = [row.get(ENCODED) for row in built.rows[split]]
    there = np.array([bool(own) and len(own) == 6 and bool(np.isfinite(own).all()) for own in given])
    rows = [own if ok else [0.0] * 6 for own, ok in zip(given, there, strict=True)]
    return np.array(rows, np.float64), there


@pytest.mark.parametrize("split", ["train", "eval"])
def test_vectors_are_centred_by_the_train_splits_mean_and_scaled(built: Built, split: str) -> None:
    known, there = vectors(built, "train")
    mean = known[there].mean(axis=0)
    raw, there = vectors(built, split)
    assert 0 < there.sum() < len(there) and np.linalg.norm(mean) > 0.5
    expected = raw - mean
    expected *= FEATURES["meaning"]["scale"] / np.linalg.norm(expected, axis=1, keepdims=True)
    expected[~there] = 0.0
    name = transformed("meaning", VECTOR)
    shown = np.array([row[name] for row in built.columns(split, [name])])
    np.testing.assert_allclose(shown, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("feature", "key", "expected"),
    [
        ({"columns": ["title", "price"]}, "features.x", "a field of the product schema that a encoded feature reads"),
        ({"column": "rating"}, "features.x.column", "another attribute"),
        ({"columns": ["title", "gender"]}, "features.x", "feed.fields.gender is null"),
    ],
)
def test_it_reads_texts_alone(feature: dict[str, object], key: str, expected: str) -> None:
    data = {
        "name": "shop",
        "feed": {"fields": {"gender": None}, "attributes": {"rating": "stars"}},
        "features": {"stars": {"kind": "number", "column": "rating"}, "x": {"kind": "encoded", **feature}},
    }
    with pytest.raises(ValueError, match=key) as raised:
        Workflow.model_validate(data)
    assert expected in str(raised.value)


@pytest.mark.parametrize("wrong", [{"column": "title", "columns": ["brand"]}, {"columns": ["title", "title"]}])
def test_columns_are_named_once(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="column"):
        EncodedFeature.model_validate(wrong)
