"""Several models that answer together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modules.settings.base import Settings
from modules.settings.model import ModelSettings, TrainingSettings

Members = Annotated[int, Field(ge=2, le=64)]


class MemberSettings(Settings):
    """One member of a committee of different kinds."""

    model: ModelSettings
    training: TrainingSettings | None = None
    """None: the workflow's own."""


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
