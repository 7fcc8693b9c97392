"""The strategies by name."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from modules.errors import InputError, Problem
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.combined import Combined
from modules.query_strategies.kinds import Diverse, Score
from modules.query_strategies.schedule import Plain, Schedule
from modules.taxonomy.documents import did_you_mean

Strategy = Annotated[Plain | Schedule, Field(discriminator="kind")]
"""What ``sampling`` in a workflow file may name."""

STRATEGIES: dict[str, type[QueryStrategy]] = {
    cls.model_fields["kind"].default: cls
    for cls in (*get_args(get_args(Score)[0]), *get_args(get_args(Diverse)[0]), Combined, Schedule)
}

DEFAULT = "schedule"


def strategy(name: str) -> QueryStrategy:
    """The strategy of this kind with its default parameters; ``default`` is the default one.

    Raises:
      InputError: there is none.
    """
    cls = STRATEGIES.get(DEFAULT if name == "default" else name)
    if cls is None:
        known = ["default", *STRATEGIES]
        raise InputError(Problem("--strategy", f"one of: {', '.join(known)}{did_you_mean(name, known)}", value=name))
    return cls()
