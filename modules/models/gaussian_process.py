"""A Gaussian process on the embedding, which starts from what categories' names say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modules.errors import Problem
from modules.models.latent import LatentModelSettings
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from modules.models.build import Builder
    from modules.models.towers import Joined
    from modules.settings.workflow import Workflow


class GaussianProcessModel(LatentModelSettings):
    """As ``lsa``, but objectives of one category a product start from what categories' names say, and labels correct
    it: a name is read as a product of that text would be, by a pretrained encoder and by the words that the shop itself
    uses, whichever of the two the features have.

    The one for the first labels, and for none at all. Needs a feature that reads text."""

    kind: Literal["gaussian_process"] = "gaussian_process"

    words: bool = False
    """Whether products are compared by their words, too, beside the embedding, as loudly as the labels want it: what
    the few labels of a category say of words that no other one has. With more than 10,000 labels or 1,500
    categories, or beside an image feature, they are compared by the embedding alone. ``auto`` takes it from 500
    labels on."""

    knows_names: ClassVar[bool] = True

    @property
    def compares_words(self) -> bool:
        return self.words

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if not any(feature.reads_names for feature in workflow.features.values()):
            yield contradiction(f"{place}.kind", self.kind, "lsa, or a feature that reads text, and so names as well")

    def logits(
        self, builder: Builder, inputs: Mapping[str, Any], shared: Any, towers: Joined | None
    ) -> dict[str, list[Any]]:
        from modules.graph_ops.layers import CategoryNames
        from modules.models.name_prior import LEAST_DEVIATION, names_layer

        parts = super().logits(builder, inputs, shared, towers)
        for name in builder.single_label:
            names = CategoryNames(builder.objectives[name], LEAST_DEVIATION, name=names_layer(name))
            parts[name].append(names(shared))
            parts[name] += builder.words(inputs, name)
        return parts
