"""Which products are similar to which."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from modules.errors import Problem, did_you_mean
from modules.features import embedding_features
from modules.predictions.columns import EMBEDDING, MODEL_EMBEDDINGS, embedding_name
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]

JOINT = embedding_name(EMBEDDING)
TOWERS = "image and text have embeddings of their own where the model has an image feature beside others"


class IndexSettings(Settings):
    """One index over one embedding of all products."""

    embedding: Annotated[str, Field(min_length=1)] = JOINT
    """``joint``: the model's own, of all features; ``image``, ``text``: of the picture and of all other features,
    where there is an image feature beside others; or the name of a feature of kind ``encoded``, whose centred vectors
    are searched as they are."""
    objective: str | None = None
    """Whose predicted categories make the partitions; default: the first exclusive one, or the first."""
    partition_level: Annotated[int, Field(ge=0, le=20)] = 2
    """A partition holds the products below one category of this level (1: top level); 0: no partitions."""
    min_products: Count = 10_000
    """Smaller partitions are searched by brute force."""
    k: Annotated[int, Field(ge=1, le=1000)] = 100
    """Neighbours for which the recall is wanted."""
    recall: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    """What the tuner aims at, at the lowest cost."""
    min_recall: Fraction = 0.9
    """Below this, in a partition or in all, the index is not blessed and not pushed."""
    queries: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """Sample products per tree that recall is measured with: half of them to choose settings by, half to report."""
    leaves: Count | None = None
    """Of the global tree; default: from the number of products."""
    leaves_to_search: Count | None = None
    """Of the global tree; default: tuned."""
    scoring: Literal["vectors", "codes"] | None = None
    """What leaves hold: vectors in float32, each of which is compared; or codes of 4 bits for two numbers, and
    quantised vectors to score the best candidates again. Default: codes where the vectors take more than 64 MiB, or
    where ``reorder`` or ``quantisation`` is set."""
    reorder: Count | None = None
    """Candidates of the global tree, found by codes, that are scored again; default: tuned."""
    quantisation: Literal["int8", "bfloat16", "float32"] = "int8"
    """Of the vectors that those are scored again with."""
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 100
    """Of each product in the table of neighbours; 0: no table."""
    near_duplicate: Fraction = 0.98
    """Neighbours with at least this cosine are marked as near-duplicates."""

    @model_validator(mode="after")
    def _only_codes_are_scored_again(self) -> IndexSettings:
        if self.scoring == "vectors" and self._of_codes:
            raise ValueError(f"expected no {self._of_codes[0]} with scoring: vectors, where nothing is scored again")
        return self

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from self._embedding_problems(workflow, f"{place}.embedding")
        if self.objective is not None and self.objective not in workflow.objectives:
            yield contradiction(f"{place}.objective", self.objective, f"one of: {', '.join(workflow.objectives)}")
        if self.min_recall > self.recall:
            expected = f"at most {self.recall:g}, the recall that is aimed at"
            yield contradiction(f"{place}.min_recall", f"{self.min_recall:g}", expected)

    def _embedding_problems(self, workflow: Workflow, key: str) -> Iterator[Problem]:
        images = sum(feature.has_tower for feature in workflow.features.values())
        own = list(MODEL_EMBEDDINGS) if 0 < images < len(workflow.features) else [JOINT]
        there = [*own, *(name for name in embedding_features(workflow.features) if name not in MODEL_EMBEDDINGS)]
        if self.embedding in there:
            return
        hint = did_you_mean(self.embedding, there)
        if self.embedding in MODEL_EMBEDDINGS:
            hint = TOWERS
        elif self.embedding in workflow.features:
            hint = "of the features only those of kind encoded are embeddings that an index can search"
        problem = contradiction(key, self.embedding, f"one of: {', '.join(there)}")
        yield dataclasses.replace(problem, hint=hint)

    @property
    def wanted_scoring(self) -> Literal["vectors", "codes"] | None:
        """What leaves shall hold; None: what the size decides."""
        return "codes" if self._of_codes else self.scoring

    @property
    def _of_codes(self) -> list[str]:
        """Settings that say something of codes alone, and are not as they come."""
        return [
            name for name in ("reorder", "quantisation") if getattr(self, name) != type(self).model_fields[name].default
        ]


class SimilaritySettings(Settings):
    """The indexes of a run, by name."""

    indexes: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")], IndexSettings], Field(min_length=1)
    ] = Field(default_factory=lambda: {"joint": IndexSettings()})
    """The indexes that a run builds, each by a name of your own."""

    @property
    def features(self) -> list[str]:
        """The features that are searched by themselves."""
        return sorted({index.embedding for index in self.indexes.values()} - MODEL_EMBEDDINGS.keys())

    @property
    def for_training(self) -> SimilaritySettings | None:
        """What a model has to know of the indexes, and nothing that would train it anew without a need."""
        indexes = {f"feature-{n}": IndexSettings(embedding=name) for n, name in enumerate(self.features)}
        return SimilaritySettings(indexes=indexes) if indexes else None

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        for name in self.indexes:
            if name in ("neighbours", "model"):
                expected = "another name: this is the folder of the tables of neighbours, or of the model"
                yield contradiction(f"{place}.indexes.{name}", name, expected)
