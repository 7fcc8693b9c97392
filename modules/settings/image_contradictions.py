"""Where an image feature contradicts other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.features import image_feature
from modules.settings.backbones import PATCHES

if TYPE_CHECKING:
    from modules.settings.model import TrainingSettings
    from modules.settings.workflow import Workflow


def image_training_contradictions(
    workflow: Workflow, training: TrainingSettings, place: str = ""
) -> list[tuple[str, object, str]]:
    """Options of the image tower that nothing would use.

    Args:
      training: the workflow's, or a committee member's own. place: what its keys begin with.
    """
    found: list[tuple[str, object, str]] = []
    image = image_feature(workflow.features)
    single_label = workflow.single_label_objectives
    for option in ("self_supervised", "image_start"):
        if getattr(training, option) is None:
            continue
        if image is None:
            found.append((f"{place}training.{option}", "", "an image feature, or null"))
        elif image[1].backbone == PATCHES:
            found.append(
                (f"{place}training.{option}", "", f"a network that is trained: features.{image[0]}.backbone is patches")
            )
        elif image[1].train == "frozen":
            found.append((f"{place}training.{option}", "", f"a tower that learns: features.{image[0]}.train is frozen"))
    if training.image_start is not None and not single_label:
        found.append((f"{place}training.image_start", "", "an exclusive objective whose labels the tower learns"))
    if training.metric_learning is not None:
        if not single_label:
            expected = "an exclusive objective whose categories are to be near"
            found.append((f"{place}training.metric_learning", "", expected))
        if training.solver == "liblinear" and (image is None or not image[1].learns):
            expected = "training.solver: adam, or an image feature whose network is trained"
            found.append((f"{place}training.metric_learning", "", expected))
        elif training.solver == "liblinear" and training.image_start is not None and not training.image_start.epochs:
            expected = "1 or more epochs, for training.metric_learning"
            found.append((f"{place}training.image_start.epochs", "0", expected))
    return found


def image_model_contradictions(workflow: Workflow) -> list[tuple[str, object, str]]:
    """Of the model, and of the committee's members, with the image feature."""
    found: list[tuple[str, object, str]] = []
    image, committee = image_feature(workflow.features), workflow.committee
    if image is None and workflow.model.modality_dropout is not None:
        found.append(
            ("model.modality_dropout", f"{workflow.model.modality_dropout:g}", "an image feature beside others")
        )
    if committee is None:
        return found
    if image is not None and committee.by == "dropout":
        found.append(("committee.by", "dropout", "bootstrap, seeds or kinds: masks are not made for an image feature"))
    for number, member in enumerate(committee.kinds):
        if member.training is None:
            continue
        place = f"committee.kinds.{number}."
        found += image_training_contradictions(workflow, member.training, place)
        if image is not None and image[1].backbone == PATCHES and member.training.solver != "liblinear":
            expected = f"liblinear: features.{image[0]}.backbone is patches"
            found.append((f"{place}training.solver", member.training.solver, expected))
    return found
