"""Where an image feature contradicts other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.settings.backbones import PATCHES, least_size
from modules.settings.features import ImageFeature, image_feature

if TYPE_CHECKING:
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
    least = least_size(feature.backbone)
    if min(feature.size) < least:
        expected = f"at least {least} pixels a side, which {feature.backbone} needs"
        found.append((f"{place}.size", f"[{feature.size[0]}, {feature.size[1]}]", expected))
    return found


def image_training_contradictions(workflow: Workflow) -> list[tuple[str, object, str]]:
    """Options of the image tower that nothing would use."""
    found: list[tuple[str, object, str]] = []
    training, image = workflow.training, image_feature(workflow.features)
    exclusive = any(o.kind == "exclusive" for o in workflow.objectives.values())
    for option in ("self_supervised", "image_start"):
        if getattr(training, option) is None:
            continue
        if image is None:
            found.append((f"training.{option}", "", "an image feature, or null"))
        elif image[1].backbone == PATCHES:
            found.append(
                (f"training.{option}", "", f"a network that is trained: features.{image[0]}.backbone is patches")
            )
        elif image[1].train == "frozen":
            found.append((f"training.{option}", "", f"a tower that learns: features.{image[0]}.train is frozen"))
    if training.image_start is not None and not exclusive:
        found.append(("training.image_start", "", "an exclusive objective whose labels the tower learns"))
    if training.metric_learning is not None:
        if not exclusive:
            found.append(("training.metric_learning", "", "an exclusive objective whose categories are to be near"))
        if training.solver == "liblinear" and (image is None or image[1].backbone == PATCHES):
            found.append(
                ("training.metric_learning", "", "training.solver: adam, or an image feature whose network is trained")
            )
        elif training.solver == "liblinear" and training.image_start is not None and not training.image_start.epochs:
            found.append(("training.image_start.epochs", "0", "1 or more epochs, for training.metric_learning"))
    if image is not None and workflow.committee is not None and workflow.committee.by == "dropout":
        found.append(("committee.by", "dropout", "bootstrap, seeds or kinds: masks are not made for an image feature"))
    return found
