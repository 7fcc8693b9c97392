"""Several models that answer together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modules.errors import Problem
from modules.features import image_feature
from modules.models import Model, solver_problems
from modules.models.neural import NeuralModelSettings
from modules.settings.backbones import PATCHES
from modules.settings.base import Settings, contradiction
from modules.training.methods import Training

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Members = Annotated[int, Field(ge=2, le=64)]


class MemberSettings(Settings):
    """One member of a committee of different kinds."""

    model: Model
    """The kind of model that this member is."""
    training: Training | None = None
    """None: the workflow's own."""

    def within(self, workflow: Workflow) -> Workflow:
        """The workflow as if this member were its only model."""
        changes = {"model": self.model, "training": self.training or workflow.training, "committee": None}
        return workflow.model_copy(update=changes)

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        alone = self.within(workflow)
        yield from super().check(alone, place)
        yield from solver_problems(self.model, alone.training, f"{place}.model", f"{place}.training")
        image = image_feature(workflow.features)
        patches = image is not None and image[1].backbone == PATCHES
        if image is not None and patches and self.training is not None and not self.training.exact:
            expected = f"{workflow.solvers(lambda way: way.exact)}: features.{image[0]}.backbone is patches"
            yield contradiction(f"{place}.training.solver", self.training.solver, expected)


class CommitteeSettings(Settings):
    """A committee is trained, exported, evaluated and pushed as one model.

    Its predictions also say where its members disagree: vote entropy, KL to the consensus and BALD, for the query
    strategies of these names. The embedding is the first member's.
    """

    by: Literal["bootstrap", "seeds", "kinds", "dropout"] = "bootstrap"
    """What makes members differ. ``bootstrap``: each learns from its own resample of the products (Breiman 1996);
    ``seeds``: another start and order of products; ``kinds``: other models (``kinds`` below); ``dropout``: the
    trained model with units dropped by masks that are the same for all products (Gal, Ghahramani 2016; Kirsch et al.
    2019), which costs no further training."""
    members: Members = 5
    """How many; not of ``kinds``."""
    kinds: tuple[MemberSettings, ...] = ()
    """The other models beside the workflow's own one, which comes first."""
    combine: Literal["average", "weighted", "stacked", "best"] = "average"
    """``average`` of the probabilities; ``weighted``: by the weights that make the eval split's labels most likely;
    ``stacked``: product of powers of the probabilities, powers (at least 0) fitted on the eval split (Wolpert 1992);
    ``best``: only the member with the least loss on the eval split is kept (bumping: Tibshirani, Knight 1999)."""

    @property
    def size(self) -> int:
        """Members in all."""
        return len(self.kinds) + 1 if self.by == "kinds" else self.members

    @property
    def answers(self) -> int:
        """Members whose own answers are kept beside the committee's; 0: one model is left."""
        return 0 if self.combine == "best" else self.size

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.by == "kinds" and not self.kinds:
            yield contradiction(f"{place}.by", "kinds", "committee.kinds to name at least one other model")
        if self.by != "kinds" and self.kinds:
            yield contradiction(f"{place}.by", self.by, "kinds, since committee.kinds names models")
        if self.by == "seeds" and workflow.training.exact:
            expected = f"bootstrap: {workflow.training.solver} finds the same optimum from any seed"
            yield contradiction(f"{place}.by", "seeds", expected)
        if self.by == "dropout":
            yield from self._masks(workflow, place)

    def _masks(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """What keeps a committee of dropout masks from working."""
        model = workflow.model
        if not isinstance(model, NeuralModelSettings) or not (model.dropout or model.input_dropout):
            expected = "a deep or wide_deep model with dropout or input_dropout above 0"
            yield contradiction(f"{place}.by", "dropout", expected)
        if self.combine == "best":
            expected = "average, weighted or stacked: masks are not models to choose from"
            yield contradiction(f"{place}.combine", "best", expected)
        if image_feature(workflow.features) is not None:
            expected = "bootstrap, seeds or kinds: masks are not made for an image feature"
            yield contradiction(f"{place}.by", "dropout", expected)
