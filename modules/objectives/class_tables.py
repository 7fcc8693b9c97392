"""The classes of an objective as the table of predictions needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modules.taxonomy import Category, Taxonomy


@dataclass(frozen=True)
class ClassTables:
    """Looked up by class index.

    Attributes:
      classes: of the model, in the head's order. taxonomy: the model's.
      label_classes: of the examples' labels, in their order; of another taxonomy where the examples have another one.
    """

    classes: Sequence[Category]
    taxonomy: Taxonomy
    label_classes: Sequence[Category]

    @cached_property
    def ids(self) -> pa.Array:
        """The classes' category ids."""
        return pa.array([category.id for category in self.classes], pa.string())

    @cached_property
    def paths(self) -> pa.Array:
        """The classes' paths as text."""
        return pa.array([self.taxonomy.path_text(category) for category in self.classes], pa.string())

    @cached_property
    def lineages(self) -> pa.Array:
        """Per class the ids of its ancestors, root first, and its own."""
        return pa.array(self._lineages, pa.list_(pa.string()))

    @cached_property
    def lineage_classes(self) -> pa.Array:
        """The same as class indices, where every category is a class."""
        index = {category.id: i for i, category in enumerate(self.classes)}
        return pa.array([[index[id] for id in lineage] for lineage in self._lineages], pa.list_(pa.int64()))

    @cached_property
    def label_ids(self) -> pa.Array:
        """Category id of each class of the labels."""
        return pa.array([category.id for category in self.label_classes], pa.string())

    @cached_property
    def class_of_label(self) -> npt.NDArray[np.int32]:
        """The model's class of each class of the labels, -1 where it has none; the last one stands for a label -1."""
        index = {category.id: i for i, category in enumerate(self.classes)}
        return np.array([*(index.get(category.id, -1) for category in self.label_classes), -1], np.int32)

    @property
    def _lineages(self) -> list[list[str]]:
        return [
            [*(ancestor.id for ancestor in self.taxonomy.ancestors(category)), category.id] for category in self.classes
        ]
