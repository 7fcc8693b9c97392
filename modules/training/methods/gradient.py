"""What the ways of training share that descend a gradient in epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from modules.errors import Problem
from modules.settings.base import contradiction
from modules.training.methods.base import FitResult, Positive, TrainingSettings

if TYPE_CHECKING:
    import keras

    from modules.settings.workflow import Workflow
    from modules.training.task import TrainingTask


class GradientTraining(TrainingSettings):
    """Supervised training on batches of products, of any model with layers to train."""

    batch_size: Annotated[int, Field(ge=1)] = 128
    """Products in each step. Larger batches are faster and take fewer, steadier steps."""
    epochs: Annotated[int, Field(ge=1)] = 30
    """Passes over the train split, at most."""
    learning_rate: Positive = 2e-3
    """Step size of Adam at the start. Too large a value does not settle; too small a one learns little."""
    learning_rate_decay: Literal["none", "cosine"] = "cosine"
    """How the step size falls: ``cosine`` lets it reach zero with the last step, ``none`` keeps it."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without a better eval loss before training stops; 0: never stops early."""
    monitor: Literal["loss", "accuracy"] = "loss"
    """What early stopping watches on the eval split (accuracy: the exclusive objective's)."""
    clip_norm: Positive | None = 1.0
    """Gradients that are longer than this are shortened to it; null leaves them as they are."""

    def optimizer(self, learning_rate: Any, l2: float) -> keras.optimizers.Optimizer:
        """The Keras optimizer, which clips gradients to ``clip_norm``.

        Args:
          learning_rate: a number or a schedule.
          l2: strength of the penalty on the squares of weight matrices and embedding tables. A way of training whose
            optimizer has none names ``l2`` in :attr:`unheeded`.
        """
        raise NotImplementedError

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        exclusive = any(objective.single_label for objective in workflow.objectives.values())
        if self.monitor == "accuracy" and not exclusive:
            yield contradiction(f"{place}.monitor", "accuracy", "an exclusive objective to watch")

    def fit(self, model: keras.Model, task: TrainingTask) -> FitResult:
        """Trains for ``task.epochs``, or until the eval split says that more would be of no use."""
        from modules.training.fit import Heads, fit

        heads = Heads(task.objectives, task.losses, task.model.weight_penalty)
        return fit(
            model, self, heads, task.train_batches(self.batch_size), task.eval_batches(),
            steps_per_epoch=-(-task.train.count // self.batch_size), epochs=task.epochs,
            checkpoints=task.checkpoints, logs=task.logs, report=task.report,
        )  # fmt: skip
