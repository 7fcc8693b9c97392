"""Ways of training. A way is a file of this folder, and a line of :data:`Training`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args

from pydantic import Field

from modules.settings.base import DefaultTag
from modules.training.methods.adam import AdamTraining
from modules.training.methods.base import TrainingSettings
from modules.training.methods.liblinear import LiblinearTraining

Training = Annotated[AdamTraining | LiblinearTraining, Field(discriminator="solver"), DefaultTag("solver", "adam")]
"""Any way, as the workflow file declares it."""

WAYS: tuple[type[TrainingSettings], ...] = get_args(get_args(Training)[0])


def solvers(fits: Callable[[type[TrainingSettings]], bool]) -> str:
    """The values of ``training.solver`` whose way of training ``fits``, as a message lists them."""
    return " or ".join(way.model_fields["solver"].default for way in WAYS if fits(way))
