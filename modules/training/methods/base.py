"""What a way of training answers. Each is a file of this folder, and a line of ``modules.training.methods``.

TensorFlow and Keras are imported where a method needs them, since the settings are read without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from modules.errors import Problem
from modules.features import image_feature
from modules.settings.backbones import PATCHES
from modules.settings.base import Settings, contradiction
from modules.settings.image_training import ImageStartSettings, MetricLearningSettings, SelfSupervisedSettings
from modules.settings.losses import LOSSES, LossFacts

if TYPE_CHECKING:
    import keras

    from modules.models.base import ModelSettings
    from modules.settings.workflow import Workflow
    from modules.training.task import TrainingTask

Positive = Annotated[float, Field(gt=0.0)]
Choices: TypeAlias = dict[str, float | bool | None]


@dataclass(frozen=True)
class FitResult:
    """What training did.

    Attributes:
      epochs: how many it ran. best_epoch: the best of them, 1-based.
      seconds: how long it took.
      history: the figures of each epoch by name.
      penalties: objective to the inverse strength of the L2 penalty (C) of its head, of ways that have one.
      processes: objective to what its labels chose for its Gaussian process, by name (``gaussian_process.Numbers``).
    """

    epochs: int
    best_epoch: int
    seconds: float
    history: dict[str, list[float]]
    penalties: dict[str, float] = field(default_factory=dict)
    processes: dict[str, Choices] = field(default_factory=dict)


class TrainingSettings(Settings):
    """One way of training: its settings, and how it fits a model."""

    solver: str
    """Each way says its own, by which the workflow file names it."""

    refit_on_eval: bool = False
    """After the first fit has found the number of epochs, train once more on train and eval together. Calibration and
    thresholds are kept from the first fit."""
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    """``auto``: on where there is a GPU. With ``liblinear``: of an image feature's tower."""
    checkpoint: bool = True
    """Keep a checkpoint per epoch, from which a killed run resumes. With ``liblinear``: of an image feature's tower."""
    self_supervised: SelfSupervisedSettings | None = None
    """The image tower first learns, without labels, to tell each picture from all others; null: it does not."""
    image_start: ImageStartSettings | None = None
    """The image tower learns the exclusive categories by itself before the model is fitted. Null: it does for
    ``liblinear``, with the defaults, and does not for ``adam``, which trains all at once."""
    metric_learning: MetricLearningSettings | None = None
    """Embeddings of one exclusive category are pulled together in training: of the joint embedding (``adam``), and
    of the image tower's in ``image_start``; null: by the heads' losses alone."""

    exact: ClassVar[bool] = False
    """Whether it finds the optimum in closed form: without epochs, the same from any seed, on one device, and with an
    image tower that is finished before."""

    unheeded: ClassVar[Mapping[str, str]] = {}
    """Settings of models that it does not heed, each with the reason; a workflow that sets one to another value than 0
    is refused."""

    @classmethod
    def trains(cls, model: type[ModelSettings]) -> bool:
        """Whether it can fit models of this kind."""
        return model.exact if cls.exact else model.by_gradient

    @classmethod
    def minimises(cls, loss: LossFacts) -> bool:
        """Whether it can minimise this loss."""
        return loss.exact or not cls.exact

    @classmethod
    def smooths(cls, loss: LossFacts) -> bool:
        """Whether it heeds ``label_smoothing`` with this loss."""
        return loss.smoothing and not cls.exact

    def fit(self, model: keras.Model, task: TrainingTask) -> FitResult:
        """Fits ``model`` in place, whose image tower has been started."""
        raise NotImplementedError

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        for name in workflow.objectives:
            yield from self._loss(workflow, place, name)
        yield from self._image_tower(workflow, place)

    def _loss(self, workflow: Workflow, place: str, name: str) -> Iterator[Problem]:
        """A loss that the solver cannot minimise, or an option of it that the solver would not heed."""
        objective = workflow.objectives[name]
        facts = LOSSES[objective.loss]
        if not self.minimises(facts):
            able = workflow.solvers(lambda way: way.minimises(facts))
            expected = f"{able}, which can minimise objectives.{name}.loss: {objective.loss}"
            yield contradiction(f"{place}.solver", self.solver, expected)
        smoothing = getattr(objective, "label_smoothing", 0.0)
        if smoothing and not self.smooths(facts):
            loss, smooth = next((loss, other) for loss, other in LOSSES.items() if other.smoothing)
            able = workflow.solvers(lambda way: way.smooths(smooth))
            expected = (
                f"0, since {objective.loss} with {place}.solver: {self.solver} knows no smoothing; "
                f"loss: {loss} with solver: {able} does"
            )
            yield contradiction(f"objectives.{name}.label_smoothing", f"{smoothing:g}", expected)

    def _image_tower(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """Options of the image tower that nothing would use."""
        image = image_feature(workflow.features)
        exclusive = any(objective.single_label for objective in workflow.objectives.values())
        for option in ("self_supervised", "image_start"):
            expected = ""
            if getattr(self, option) is None:
                continue
            if image is None:
                expected = "an image feature, or null"
            elif image[1].backbone == PATCHES:
                expected = f"a network that is trained: features.{image[0]}.backbone is patches"
            elif image[1].train == "frozen":
                expected = f"a tower that learns: features.{image[0]}.train is frozen"
            if expected:
                yield contradiction(f"{place}.{option}", "", expected)
        if self.image_start is not None and not exclusive:
            yield contradiction(f"{place}.image_start", "", "an exclusive objective whose labels the tower learns")
        if self.metric_learning is not None and not exclusive:
            expected = "an exclusive objective whose categories are to be near"
            yield contradiction(f"{place}.metric_learning", "", expected)
