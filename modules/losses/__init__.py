"""What training minimises: a file per loss, found by its name in the workflow."""

from __future__ import annotations

import importlib

from modules.losses.base import LossKind
from modules.settings.losses import LOSSES


def loss_named(name: str) -> LossKind:
    """The loss with this name.

    Raises:
      KeyError: there is none.
    """
    if name not in LOSSES:
        raise KeyError(name)
    loss = importlib.import_module(f"modules.losses.{name}").LOSS
    assert isinstance(loss, LossKind)
    return loss
