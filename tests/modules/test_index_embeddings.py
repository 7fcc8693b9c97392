"""Which embeddings an index can search, by the workflow, and what the model is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.predictions.columns import (
    EMBEDDING,
    MODEL_EMBEDDINGS,
    embedding_column,
    embedding_name,
    embeddings_in,
    objective_column,
)
from modules.settings.workflow import Workflow

MEANING = {"kind": "encoded", "column": "title", "encoder": "some", "width": 4}
FEATURES: dict[str, Any] = {"title": {"kind": "text"}, "meaning": MEANING}
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


def workflow(indexes: dict[str, Any], features: dict[str, Any] = FEATURES) -> Workflow:
    return Workflow.model_validate({"name": "shop", "features": features, "similarity": {"indexes": indexes}})


def refused(embedding: str, features: dict[str, Any] = FEATURES) -> str:
    with pytest.raises(ValidationError) as raised:
        workflow({"own": {"embedding": embedding}}, features)
    (problem,) = raised.value.errors()[0]["ctx"]["error"].problems
    assert problem.key == "similarity.indexes.own.embedding" and problem.value == embedding
    return str(problem)


def test_the_features_that_are_searched_are_those_that_an_index_names() -> None:
    assert workflow({"joint": {}}).searched_features == []
    both = workflow({"joint": {}, "by_meaning": {"embedding": "meaning"}, "strict": {"embedding": "meaning", "k": 9}})
    assert both.searched_features == ["meaning"]
    assert Workflow.model_validate({"name": "shop", "features": FEATURES}).searched_features == []


def test_what_no_index_can_search_is_named_with_what_it_can() -> None:
    slip = refused("meanign")
    assert "one of: joint, meaning" in slip and "did you mean 'meaning'?" in slip
    assert "only those of kind encoded" in refused("title")
    # Without a picture there is no text tower, not even where a feature has its name.
    for features in (FEATURES, FEATURES | {"text": MEANING}):
        assert "one of: joint, meaning;" in refused("text", features) + ";"
        assert "beside others" in refused("text", features)


def test_pictures_bring_embeddings_of_their_own() -> None:
    features = FEATURES | {"picture": {"kind": "image"}}
    names = [*MODEL_EMBEDDINGS, "meaning"]
    pictured = workflow({name: {"embedding": name} for name in names}, features)
    assert pictured.searched_features == ["meaning"]
    assert f"one of: {', '.join(names)}" in refused("picture", features)


def test_only_another_searched_feature_trains_the_model_anew() -> None:
    def told(indexes: dict[str, Any]) -> Any:
        similarity = workflow(indexes).similarity
        assert similarity is not None
        return similarity.for_training

    assert told({"joint": {}}) is None and told({"strict": {"recall": 0.99}}) is None
    small = told({"meaning": {"embedding": "meaning"}})
    assert small is not None and small.features == ["meaning"]
    assert small == told({"joint": {"k": 3}, "renamed": {"embedding": "meaning", "recall": 0.5, "min_recall": 0.1}})


@given(st.lists(NAMES, unique=True, max_size=6), NAMES)
def test_a_column_of_a_feature_is_no_other_one(names: list[str], objective: str) -> None:
    own = {name: embedding_column(name) for name in names}
    assert len(set(own.values())) == len(names)
    assert {name: embedding_name(column) for name, column in own.items()} == {name: name for name in names}
    others = ["id", objective_column(f"embedding_of_{objective}", "rest"), objective_column(objective, "category")]
    assert set(embeddings_in([*others, *own.values(), EMBEDDING])) == {EMBEDDING, *own.values()}
