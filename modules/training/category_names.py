"""What pretrained encoders make of categories' names, synonyms and descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from modules.arrays import Float32Array
from modules.features import embedding_features
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

Names = Mapping[str, Mapping[str, Float32Array]]
"""Of each objective with one category a product: feature to float32 (classes, width), as ``InputSizes.names``."""


def encoded_names(workflow: Workflow, taxonomy: Taxonomy) -> Names:
    """The texts of all classes, encoded by each feature with an encoder; empty where no model would read them."""
    kinds = [workflow.model, *(member.model for member in (workflow.committee.kinds if workflow.committee else ()))]
    if not workflow.reads_names or not any(kind.knows_names or kind.chooses for kind in kinds):
        return {}
    encoders = embedding_features(workflow.features)
    return {
        objective: {
            name: feature.name_vectors([category.texts for category in classes], workflow.encodings)
            for name, feature in encoders.items()
        }
        for objective in workflow.single_label_objectives
        for classes in (workflow.objectives[objective].classes(taxonomy),)
    }
