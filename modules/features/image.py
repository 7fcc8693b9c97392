"""The product's picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from modules.errors import InputError, Problem
from modules.examples import IMAGE_BYTES, PICTURE_BYTES, PIXELS, PRESENT, transformed
from modules.features.base import FeatureSettings, TransformStep
from modules.settings.backbones import (
    BACKBONES,
    LITE,
    PATCHES,
    PIXELS_OF,
    SAVED_MODEL,
    SMALL_CNN,
    SUPPLIED,
    Pixels,
    encoder_of,
    least_size,
)
from modules.settings.base import contradiction
from modules.settings.image_training import AugmentationSettings, DepthSettings, PatchSettings

if TYPE_CHECKING:
    import tensorflow as tf

    from modules.settings.workflow import Workflow

Side = Annotated[int, Field(ge=8, le=1024)]


class ImageFeature(FeatureSettings):
    """The product's picture through a convolutional network. A picture that is missing is known to be missing."""

    has_tower: ClassVar[bool] = True

    kind: Literal["image"] = "image"
    column: Literal["image_bytes"] | None = IMAGE_BYTES
    """The pictures that the feed's ``image`` column names, as JPEG bytes."""
    size: tuple[Side, Side] = (64, 64)
    """Height and width, in pixels, that every picture is brought to."""
    backbone: Annotated[str, Field(json_schema_extra={"enum": list(BACKBONES)})] = SMALL_CNN
    """``patches``: patterns of small patches and a regression on them, found in closed form: the most accurate from
    scratch with some thousands of pictures;
    ``small_cnn``: a residual network that trains from scratch on two cores in minutes; the name of a network of
    ``keras.applications``; ``efficientnet_lite0`` to ``2``, which start from an encoder; ``keras`` or ``savedmodel``:
    an encoder of your own, in ``weights``."""
    channels: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (24, 48, 96, 192)
    """Of ``small_cnn``: channels of its stem and of each stage, which halves height and width; 2 to 7 of them."""
    patches: PatchSettings = PatchSettings()
    """Settings of ``backbone: patches``, which other backbones do not read."""
    weights: str = "none"
    """What it starts from: ``none`` (random), ``imagenet`` (downloaded by Keras, for networks of
    ``keras.applications``), or a file: ``.weights.h5`` of this network, the ``.keras`` file, the SavedModel folder; of
    ``efficientnet_lite0`` to ``2`` the name of an encoder that ``shelfmark encoder add`` has put on this machine, or an
    encoder's folder. With ``patches`` such an encoder joins the patches in their regression."""
    pixels: Pixels | None = None
    """How ``keras`` and ``savedmodel`` want their pixels; ``0..255`` if left out. The others know it themselves."""
    train: str = "all"
    """``all``; ``frozen``: only what comes after the backbone learns; or a layer's name: that one and all after it
    learn. What is frozen, and every batch normalisation of a backbone that came with weights, stays as it was."""
    width: Annotated[int, Field(ge=2, le=4096)] | None = 128
    """Width of the image embedding; null: the backbone's own output."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Of linear models and ``lsa``: length of the image embedding, how loud it is beside the other features."""
    augmentation: AugmentationSettings | None = AugmentationSettings()
    """Random changes of the pictures in training; null: none."""

    @model_validator(mode="after")
    def _check(self) -> ImageFeature:
        if not 2 <= len(self.channels) <= 7:
            raise ValueError(f"channels must be 2 to 7 numbers, not {list(self.channels)}")
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, not {self.backbone!r}")
        if self.backbone in SUPPLIED and self.weights in ("none", "imagenet"):
            raise ValueError(f"backbone: {self.backbone} needs your encoder's file in weights")
        if self.weights == "imagenet" and self.backbone not in PIXELS_OF:
            hint = f"; {self.backbone} starts from {encoder_of(self.backbone)}" if self.backbone in LITE else ""
            hint = f"; {PATCHES} takes {encoder_of(LITE[0])}" if self.backbone == PATCHES else hint
            raise ValueError(f"weights: imagenet is for networks of keras.applications{hint}")
        if self.pixels is not None and self.backbone not in SUPPLIED:
            raise ValueError(f"pixels is for keras and savedmodel; {self.backbone} knows how it is fed")
        if self.backbone == SAVED_MODEL and self.train != "frozen":
            raise ValueError("a savedmodel cannot be trained on: train: frozen, or a .keras file")
        if self.backbone == PATCHES:
            self._check_patches()
        return self

    def _check_patches(self) -> None:
        if self.train != "all":
            raise ValueError("backbone: patches is found from the pictures, an encoder stays as it is: leave train out")
        own = self.patches
        if self.weights_file is None:
            if not own.scales:
                raise ValueError("patches: without scales there is nothing but an encoder, which weights has to name")
            if own.encoder != DepthSettings():
                raise ValueError("patches: encoder says how the encoder is read that weights names, and it names none")
        if len(set(own.scales)) < len(own.scales):
            raise ValueError("patches: the same scale twice")
        if own.copies and self.augmentation is None:
            raise ValueError("patches: copies are pictures changed by augmentation, which is null")
        for side, cells in zip(self.size, own.cells, strict=True):
            for patch, shrink in own.scales:
                if (side // shrink - patch) // max(1, own.stride // shrink) + 1 < cells:
                    small = f", {shrink} times smaller," if shrink > 1 else ""
                    raise ValueError(f"patches: {side} pixels{small} have too few patches of {patch} for {cells} cells")

    @property
    def weights_file(self) -> str | None:
        """The file that ``weights`` names, if it does."""
        return None if self.weights in ("none", "imagenet") else self.weights

    def fields_of(self, name: str) -> tuple[str, ...]:
        return ("image",)

    def weight_files(self) -> dict[str, str]:
        return {"weights": self.weights_file} if self.weights_file else {}

    def find_weights(self, find: Callable[[str], Path]) -> dict[str, Path]:
        from modules.encoders.places import encoder_of_feature

        if self.backbone not in (PATCHES, *LITE) or self.weights_file is None:
            return super().find_weights(find)
        return {"weights": encoder_of_feature(self.weights_file, find)}

    def with_weights(self, paths: Mapping[str, Path]) -> Self:
        """:meth:`FeatureSettings.with_weights`; an encoder has to be of this backbone's network, if it has one."""
        if self.backbone in (PATCHES, *LITE) and paths and paths["weights"].is_dir():
            from modules.encoders.picture_folder import read_picture_settings

            network = read_picture_settings(paths["weights"]).network
            if self.backbone not in (PATCHES, network):
                expected = f"expected an encoder of the network {self.backbone}, this one is {network}"
                raise InputError(Problem(str(paths["weights"]), expected, hint=f"backbone: {network} takes it"))
        return super().with_weights(paths)

    def for_transform(self) -> ImageFeature:
        """The default: how a picture is embedded changes nothing in Transform, which passes its bytes on."""
        return ImageFeature()

    @property
    def learns(self) -> bool:
        """Whether something of the tower is trained: its network, or the projection behind it."""
        return self.backbone != PATCHES and (self.train != "frozen" or self.width is not None)

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if all(source.fields.image is None for source in workflow.sources):
            yield contradiction(place, "image", f"a column of the feed: {workflow.field_key('image')} is null")
        if sum(feature.has_tower for feature in workflow.features.values()) > 1:
            yield contradiction(place, "image", "one image feature: a product has one picture")
        if self.backbone == PATCHES and not workflow.training.exact:
            expected = f"training.solver: {workflow.solvers(lambda way: way.exact)}, or another backbone"
            yield contradiction(f"{place}.backbone", PATCHES, expected)
        if self.train == "frozen" and self.weights == "none" and self.backbone not in (PATCHES, *SUPPLIED):
            start = encoder_of(self.backbone) if self.backbone in LITE else "imagenet"
            expected = f"{start} or a file, or another train: a frozen network learns nothing"
            yield contradiction(f"{place}.weights", "none", expected)
        encoded = self.backbone == PATCHES and self.weights_file is not None
        least = least_size(LITE[0] if encoded else self.backbone)
        if min(self.size) < least:
            expected = f"at least {least} pixels a side, which {self.weights if encoded else self.backbone} needs"
            yield contradiction(f"{place}.size", f"[{self.size[0]}, {self.size[1]}]", expected)

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/bytes`` as they came, "" if there are none; decoded later: pixels are many times their size."""
        from modules.graph_ops.text import one_per_row

        return TransformStep.of({transformed(name, PICTURE_BYTES): one_per_row(columns[0])})

    def example_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        return {transformed(name, PICTURE_BYTES): tf.io.FixedLenFeature([], tf.string)}

    def to_inputs(self, name: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
        """The decoded pictures, and whether there is one."""
        from modules.vision.decoding import decode_pictures

        pixels, present = decode_pictures(parsed[transformed(name, PICTURE_BYTES)], *self.size)
        return {transformed(name, PIXELS): pixels, transformed(name, PRESENT): present}

    def keras_inputs(self, name: str) -> dict[str, Any]:
        import keras

        return {
            transformed(name, PIXELS): keras.Input((*self.size, 3), dtype="float32", name=f"{name}_pixels"),
            transformed(name, PRESENT): keras.Input((1,), dtype="float32", name=f"{name}_present"),
        }
