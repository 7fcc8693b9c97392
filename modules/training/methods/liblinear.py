"""Supervised training of linear heads to their exact optimum, by dual coordinate descent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from modules.errors import Problem
from modules.features import image_feature
from modules.settings.base import contradiction
from modules.training.methods.base import FitResult, Positive, TrainingSettings

if TYPE_CHECKING:
    import keras

    from modules.settings.workflow import Workflow
    from modules.training.task import TrainingTask


class LiblinearTraining(TrainingSettings):
    """The exact optimum of linear heads (LIBLINEAR; linear models only); minutes faster than ``adam`` and more
    accurate with up to some 100,000 labels, held in memory."""

    solver: Literal["liblinear"] = "liblinear"
    liblinear_c: Positive | None = 1.0
    """Inverse strength of the L2 penalty; null: each head's own, found by cross-validation on the train split's
    labels."""

    exact: ClassVar[bool] = True
    unheeded: ClassVar[Mapping[str, str]] = {
        "input_dropout": "it trains without steps",
        "l2": "its penalty is liblinear_c",
    }

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.metric_learning is None:
            return
        image = image_feature(workflow.features)
        if image is None or not image[1].learns:
            able = workflow.solvers(lambda way: not way.exact)
            expected = f"training.solver: {able}, or an image feature whose network is trained"
            yield contradiction(f"{place}.metric_learning", "", expected)
        elif self.image_start is not None and not self.image_start.epochs:
            expected = "1 or more epochs, for training.metric_learning"
            yield contradiction(f"{place}.image_start.epochs", "0", expected)

    def fit(self, model: keras.Model, task: TrainingTask) -> FitResult:
        """Fits every head at once; there are no epochs."""
        import time

        from modules.training.liblinear import fit_exact

        started = time.monotonic()
        penalties, processes = fit_exact(model, task, c=self.liblinear_c)
        return FitResult(0, 0, time.monotonic() - started, {}, penalties, processes)
