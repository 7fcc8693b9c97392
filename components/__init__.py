"""The TFX components. Their artifact types are importable from here, but loaded only when asked for."""

from __future__ import annotations

from typing import Any

_ARTIFACTS = (
    "CategoryMetrics",
    "LabelReview",
    "LabellingBatch",
    "Predictions",
    "ProductTaxonomy",
    "PushedIndex",
    "Quarantine",
    "Record",
    "SimilarityIndex",
)


def __getattr__(name: str) -> Any:
    if name in _ARTIFACTS:
        from components import artifact_types

        return getattr(artifact_types, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
