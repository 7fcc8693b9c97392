"""The strategies by name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.errors import InputError
from modules.plugins import WithEntryPoints
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.combined import Combined
from modules.query_strategies.kinds import BUILTIN, QUERY_STRATEGIES, Single
from modules.query_strategies.schedule import Schedule

Strategy = Annotated[
    Single | Combined | Schedule, Field(discriminator="kind"), WithEntryPoints(QUERY_STRATEGIES, QueryStrategy)
]
"""What ``sampling`` in a workflow file may name."""

STRATEGIES: dict[str, type[QueryStrategy]] = {**BUILTIN, "combined": Combined, "schedule": Schedule}
"""Those that come with the package."""

DEFAULT = "schedule"


def strategy(name: str) -> QueryStrategy:
    """The strategy of this kind with its default parameters; ``default`` is the default one.

    Raises:
      InputError: there is none, or the distribution that provides it cannot be imported.
    """
    name = DEFAULT if name == "default" else name
    if name in STRATEGIES:
        return STRATEGIES[name]()
    if name not in QUERY_STRATEGIES.names():
        raise InputError(QUERY_STRATEGIES.unknown(name, "--strategy"))
    return QUERY_STRATEGIES.get(name)()
