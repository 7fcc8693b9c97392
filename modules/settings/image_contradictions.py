"""Where an image feature contradicts other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.settings.backbones import PATCHES, SUPPLIED, least_size
from modules.settings.features import ImageFeature, image_feature

if TYPE_CHECKING:
    from modules.settings.model import TrainingSettings
    from modules.settings.workflow import Workflow


def image_contradictions(name: str, feature: ImageFeature, workflow: Workflow) -> list[tuple[str, object, str]]:
    """Of an image feature with the rest of the workflow: (dotted key, value, what was expected)."""
    found: list[tuple[str, object, str]] = []
    place = f"features.{name}"
    if workflow.feed.fields.image is None:
        found.append((place, "image", "a column of the feed: feed.fields.image is null"))
    if sum(one.kind == "image" for one in workflow.features.values()) > 1:
        found.append((place, "image", "one image feature: a product has one picture"))
    if feature.backbone == PATCHES and workflow.training.solver != "liblinear":
        found.append((f"{place}.backbone", PATCHES, "training.solver: liblinear, or another backbone"))
    if feature.train == "frozen" and feature.weights == "none" and feature.backbone not in (PATCHES, *SUPPLIED):
        found.append(
            (f"{place}.weights", "none", "imagenet or a file, or another train: a frozen network learns nothing")
        )
    least = least_size(feature.backbone)
    if min(feature.size) < least:
        expected = f"at least {least} pixels a side, which {feature.backbone} needs"
        found.append((f"{place}.size", f"[{feature.size[0]}, {feature.size[1]}]", expected))
    return found


def image_training_contradictions(
    workflow: Workflow, training: TrainingSettings, place: str = ""
) -> list[tuple[str, object, str]]:
    """Options of the image tower that nothing would use.

    Args:
      training: the workflow's, or a committee member's own. place: what its keys begin with.
    """
    found: list[tuple[str, object, str]] = []
    image = image_feature(workflow.features)
    exclusive = any(o.kind == "exclusive" for o in workflow.objectives.values())
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
    if training.image_start is not None and not exclusive:
        found.append((f"{place}training.image_start", "", "an exclusive objective whose labels the tower learns"))
    if training.metric_learning is not None:
        if not exclusive:
            expected = "an exclusive objective whose categories are to be near"
            found.append((f"{place}training.metric_learning", "", expected))
        if training.solver == "liblinear" and (image is None or not _learns(image[1])):
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


def _learns(feature: ImageFeature) -> bool:
    """Whether something of the tower is trained: its network, or the projection behind it."""
    return feature.backbone != PATCHES and (feature.train != "frozen" or feature.width is not None)
