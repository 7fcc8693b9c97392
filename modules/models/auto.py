"""The kind of model that is chosen when the number of labels is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from modules.counting import counted
from modules.errors import Problem
from modules.features import image_feature
from modules.models.base import ModelSettings, Width
from modules.models.gaussian_process import GaussianProcessModel
from modules.models.linear import LinearModel
from modules.models.lsa import LsaModel
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

FEW_LABELS = 2000
"""With fewer labels in the train split, heads on the embedding of all products do as well or better
(docs/explanation/results/default_model.md)."""


LABELS_PER_CATEGORY = 40
"""Where categories' names and words are compared, with fewer labels of each category on average that is as good or
better even if all together are more than :data:`FEW_LABELS`."""

MANY_LABELS = 4000
"""From so many labels on heads on words are as good or better for any number of categories."""

WORDS_FROM = 500
"""From so many labels on the Gaussian process compares words, too (docs/explanation/results/default_model.md)."""


class AutoModel(ModelSettings):
    """``gaussian_process``, ``lsa`` or ``linear``, as the number of labels wants it, and as there is text to compare
    categories' names with: Trainer chooses, and says what it took and why."""

    kind: Literal["auto"] = "auto"
    embedding_width: Width | None = None
    """Width of the embedding; null: the default of the kind that is chosen."""

    exact: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    chooses: ClassVar[bool] = True

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if workflow.tuning is not None and f"{place}.kind" not in workflow.tuning.search:
            kinds = " or ".join(kind.model_fields["kind"].default for kind in (LsaModel, LinearModel))
            yield contradiction(f"{place}.kind", self.kind, f"{kinds}, since tuning compares settings of one kind")

    def chosen(self, labels: int, categories: int, workflow: Workflow) -> tuple[ModelSettings, str]:
        """The kind for this many labels.

        Args:
          labels: of the train split, of the objective that has the most and does not learn from rules alone.
          categories: how many have one of these labels; 0 where a product may be in several.

        Returns:
          Its settings, and why it was chosen, as the end of a sentence.
        """
        are = counted(labels, "label is", "labels are")
        few, named = FEW_LABELS, workflow.reads_names
        if named and image_feature(workflow.features) is None:
            few = max(few, min(LABELS_PER_CATEGORY * categories, MANY_LABELS))
        dropout, width = self.modality_dropout, self.embedding_width
        if labels < few and named:
            compares = labels >= WORDS_FROM
            process = GaussianProcessModel(modality_dropout=dropout, embedding_width=width, words=compares)
            of = f" for {counted(categories, 'category', 'categories')}" if labels >= FEW_LABELS else ""
            return process, f"{are} fewer than {few:,}{of}, and categories' names can be read"
        if labels < few:
            return LsaModel(modality_dropout=dropout, embedding_width=width), f"{are} fewer than {few:,}"
        return LinearModel(modality_dropout=dropout, embedding_width=width), f"{are} {few:,} or more"
