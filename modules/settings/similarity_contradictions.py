"""Where the similarity section contradicts other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.settings.similarity import SimilaritySettings

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow


def similarity_contradictions(similarity: SimilaritySettings, workflow: Workflow) -> list[tuple[str, object, str]]:
    """(dotted key, value, what was expected)."""
    found: list[tuple[str, object, str]] = []
    images = sum(feature.has_tower for feature in workflow.features.values())
    for name, index in similarity.indexes.items():
        place = f"similarity.indexes.{name}"
        if name in ("neighbours", "model"):
            found.append((place, name, "another name: this is the folder of the tables of neighbours, or of the model"))
        if index.embedding != "joint" and not 0 < images < len(workflow.features):
            expected = "joint: image and text have embeddings of their own with an image feature beside others"
            found.append((f"{place}.embedding", index.embedding, expected))
        if index.objective is not None and index.objective not in workflow.objectives:
            found.append((f"{place}.objective", index.objective, f"one of: {', '.join(workflow.objectives)}"))
        if index.min_recall > index.recall:
            expected = f"at most {index.recall:g}, the recall that is aimed at"
            found.append((f"{place}.min_recall", f"{index.min_recall:g}", expected))
    return found
