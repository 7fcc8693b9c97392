"""What a store of artifacts has to answer."""

from __future__ import annotations

from typing import Protocol

BLESSING = "tfx.ModelBlessing"
"""Title of the type of an Evaluator's verdict."""
MODEL = "tfx.Model"


class BlessedModels(Protocol):
    """Looks up what earlier runs blessed."""

    def last(self, run: str) -> str | None:
        """Address of the newest model that a run of the same pipeline, in the same namespace, blessed.

        Args:
          run: the id of the run that asks.

        Returns:
          None where no model was ever blessed, or none of the blessed ones is there any more.

        Raises:
          InputError: the store does not know the run, cannot be reached, or refuses.
        """
        ...
