"""What kinds share whose embedding needs no labels: latent semantic analysis, beside what encoders give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from modules.models.base import ModelSettings, Width

if TYPE_CHECKING:
    import keras
    import numpy as np

    from modules.losses.base import Matrix
    from modules.models.build import Builder
    from modules.models.towers import Joined
    from modules.training.design import Design

WIDTH = 512


class LatentModelSettings(ModelSettings):
    """Linear heads on the embedding that a truncated SVD finds in all products of the train split, labelled or not.

    A feature that is an embedding already, a pretrained encoder's, stands beside the SVD's, each of unit length times
    its scale."""

    embedding_width: Width | None = None
    """Width of the embedding, the SVD's directions; null: 512."""

    exact: ClassVar[bool] = True
    # It has an embedding before the first label: enough to pick the first batch.
    needs_labels: ClassVar[bool] = False
    heads_on_embedding: ClassVar[bool] = True
    # Its directions are few and of unit length together: what holds heads on words in check holds these back.
    penalties: ClassVar[tuple[float, ...]] = (3.0, 10.0)

    def own_embedding(self, builder: Builder, inputs: Mapping[str, Any]) -> Any:
        # Training sets the weights when the SVD has found them.
        return builder.beside_embeddings(inputs, self.embedding_width or WIDTH, "projection")

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        return {name: [builder.head(name, f"{name}_head", shared, "glorot_uniform")] for name in builder.objectives}

    def unlabelled_share(self, examples: int) -> float:
        from modules.models.projection import ROWS

        return min(1.0, ROWS / max(examples, 1))

    def head_inputs(self, model: keras.Model, design: Design, seed: int) -> Matrix:
        """The embedding of the text's columns, whose SVD it sets, beside the picture's columns."""
        import numpy as np

        from modules.models.projection import EmbeddingColumns, fit_projection

        if not design.text_columns:
            return design.matrix
        columns = EmbeddingColumns.of(design.columns, design.embeddings, design.text_columns)
        projection = fit_projection(design.matrix[:, columns.projected], self.embedding_width or WIDTH, seed)
        for feature, (start, end) in design.columns.items():
            if end <= design.text_columns and feature not in design.embeddings:
                rows = np.searchsorted(columns.projected, (start, end))
                model.get_layer(f"projection_{feature}").set_weights([projection[slice(*rows)]])
        embedding = columns.embed(design.matrix, projection)
        if design.text_columns == design.matrix.shape[1]:
            return embedding
        return np.concatenate([embedding, design.matrix[:, design.text_columns :].toarray()], axis=1)

    def set_head(self, model: keras.Model, objective: str, table: np.ndarray, bias: np.ndarray, design: Design) -> None:
        model.get_layer(f"{objective}_head").set_weights([table, bias])
