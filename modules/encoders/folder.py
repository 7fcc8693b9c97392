"""A text encoder on disk: a folder with its settings, vocabulary, weights and check vectors.

``encoder.json`` holds the settings, ``vocabulary.txt`` one word piece per line, ``weights.safetensors`` the network's
tensors by the names that BERT's own files use (matrices as (outputs, inputs)), and ``check.safetensors`` the vectors
of the sentences of ``check_sentences.py``. None of these files can hold code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pydantic

from modules.arrays import Float32Array
from modules.encoders.check_sentences import SENTENCES
from modules.encoders.files import (
    CHECK_FILE,
    CHECK_TENSOR,
    SETTINGS_FILE,
    WEIGHTS_FILE,
    Checksum,
    check_weights,
    fingerprint_of,
    load_settings,
    read_check,
    read_checked,
    read_weights,
    tensor_bytes,
    write_files,
)
from modules.errors import InputError, Problem, reason

if TYPE_CHECKING:
    from modules.encoders.files import WeightArray

VOCABULARY_FILE = "vocabulary.txt"
MAX_TOKENS = 128
"""Word pieces of a text that are read unless an encoder's settings say otherwise, the two around it included.

A title has some 15, and 128 hold a title with some eighty words of a description. all-MiniLM-L6-v2 was trained on 128.
Only texts that are longer pay for a higher limit, but they pay for every piece.
"""
MAX_VOCABULARY_BYTES = 50_000_000


class EncoderSettings(pydantic.BaseModel):
    """Everything of an encoder but its numbers and word pieces."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    """Version of the folder's form, and of the way from a text to its vector."""
    type: Literal["bert"] = "bert"
    """The network."""
    name: str = pydantic.Field(min_length=1, max_length=100)
    licence: str = pydantic.Field(max_length=200)
    """SPDX identifier, or what is known of it."""
    origin: str = pydantic.Field(max_length=1000)
    """What the folder was made of."""
    layers: int = pydantic.Field(ge=1, le=96)
    heads: int = pydantic.Field(ge=1, le=128)
    width: int = pydantic.Field(ge=1, le=8192)
    """Length of a vector."""
    intermediate_width: int = pydantic.Field(ge=1, le=65_536)
    positions: int = pydantic.Field(ge=4, le=65_536)
    """Word pieces that the network has positions for."""
    segments: int = pydantic.Field(default=2, ge=1, le=16)
    lower_case: bool = True
    strip_accents: bool = True
    pooling: Literal["mean", "cls"]
    """What becomes the vector: the mean of all pieces' outputs, or the first one's."""
    prefix: str = pydantic.Field(default="", max_length=200)
    """Stands before each text; ends in a space unless it is empty."""
    max_tokens: int = pydantic.Field(default=MAX_TOKENS, ge=4, le=65_536)
    """Word pieces of a text that are read, [CLS], prefix and [SEP] included."""
    unknown_token: str = "[UNK]"  # noqa: S105 - a word piece
    start_token: str = "[CLS]"  # noqa: S105 - a word piece
    end_token: str = "[SEP]"  # noqa: S105 - a word piece
    padding_token: str = "[PAD]"  # noqa: S105 - a word piece
    max_word_characters: int = pydantic.Field(default=100, ge=1, le=1000)
    """A longer word is the unknown piece."""
    vocabulary_checksum: Checksum
    """SHA-256 of ``vocabulary.txt``."""
    weights_checksum: Checksum
    """SHA-256 of ``weights.safetensors``."""

    @pydantic.model_validator(mode="after")
    def _agrees(self) -> EncoderSettings:
        if self.width % self.heads:
            raise ValueError(f"{self.width} is no multiple of the {self.heads} heads")
        if self.max_tokens > self.positions:
            raise ValueError(f"max_tokens is {self.max_tokens}, but there are {self.positions} positions")
        if self.prefix and not self.prefix.endswith(" "):
            raise ValueError("the prefix has to end in a space")
        return self

    def shapes(self, pieces: int) -> dict[str, tuple[int, ...]]:
        """Name of each tensor of the weights to its shape, for a vocabulary of ``pieces``."""
        width, inner = self.width, self.intermediate_width
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (pieces, width),
            "embeddings.position_embeddings.weight": (self.positions, width),
            "embeddings.token_type_embeddings.weight": (self.segments, width),
            **_normalisation("embeddings.LayerNorm", width),
        }
        for layer in range(self.layers):
            own = f"encoder.layer.{layer}."
            for part in ("query", "key", "value"):
                shapes |= _matrix(f"{own}attention.self.{part}", width, width)
            shapes |= _matrix(f"{own}attention.output.dense", width, width)
            shapes |= _normalisation(f"{own}attention.output.LayerNorm", width)
            shapes |= _matrix(f"{own}intermediate.dense", inner, width)
            shapes |= _matrix(f"{own}output.dense", width, inner)
            shapes |= _normalisation(f"{own}output.LayerNorm", width)
        return shapes

    def special_tokens(self) -> tuple[str, str, str, str]:
        """Unknown, start, end, padding: pieces that the vocabulary has to hold."""
        return self.unknown_token, self.start_token, self.end_token, self.padding_token


def _matrix(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _normalisation(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


@dataclass(frozen=True)
class EncoderFolder:
    """What a folder holds.

    Attributes:
      settings: of network and tokenizer.
      vocabulary: word pieces; their index is their id.
      weights: tensors by name, as they are stored: float16 or float32.
      check: vectors of the check sentences, float32 (sentences, width), rows of unit length or zeros; None before
        they were computed.
    """

    settings: EncoderSettings
    vocabulary: tuple[str, ...]
    weights: Mapping[str, WeightArray]
    check: Float32Array | None

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of all that a text's vector depends on: settings, vocabulary and weights."""
        return fingerprint_of(self.settings)


def fingerprint(folder: str | Path) -> str:
    """The fingerprint of an encoder on disk, by its settings alone.

    Raises:
      InputError: there is no encoder, or its settings cannot be read.
    """
    return fingerprint_of(read_settings(folder))


def read_settings(folder: str | Path) -> EncoderSettings:
    """``encoder.json`` alone.

    Raises:
      InputError: there is no encoder, or its settings cannot be read.
    """
    return load_settings(folder, {"bert": EncoderSettings}, "texts")


def read_encoder(folder: str | Path) -> EncoderFolder:
    """Reads and checks a folder: checksums, names and shapes of all tensors, finite numbers, the special pieces.

    Raises:
      InputError: it is no encoder, damaged, or of another form.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    text = read_checked(folder / VOCABULARY_FILE, MAX_VOCABULARY_BYTES, settings.vocabulary_checksum)
    vocabulary = _vocabulary(folder / VOCABULARY_FILE, text, settings)
    weights = read_weights(folder, settings.weights_checksum, settings.shapes(len(vocabulary)))
    return EncoderFolder(settings, vocabulary, weights, read_check(folder, len(SENTENCES), settings.width))


def write_encoder(encoder: EncoderFolder, folder: str | Path) -> EncoderSettings:
    """Writes a folder, which is there as a whole or not at all; returns its settings, whose checksums are worked out.

    Args:
      encoder: its ``check`` has to be there; the checksums of its settings are not looked at.
      folder: must not exist yet, or be empty.

    Raises:
      InputError: the folder holds something, or cannot be written, or the encoder does not fit together.
    """
    folder = Path(folder)
    assert encoder.check is not None, "check vectors are worked out before a folder is written"
    place = str(folder)
    _check_pieces(place, encoder.vocabulary, encoder.settings)
    check_weights(place, encoder.weights, encoder.settings.shapes(len(encoder.vocabulary)))
    vocabulary, weights = "".join(f"{piece}\n" for piece in encoder.vocabulary).encode(), tensor_bytes(encoder.weights)
    settings = encoder.settings.model_copy(
        update={
            "vocabulary_checksum": hashlib.sha256(vocabulary).hexdigest(),
            "weights_checksum": hashlib.sha256(weights).hexdigest(),
        }
    )
    check = tensor_bytes({CHECK_TENSOR: encoder.check.astype("float32")})
    document = settings.model_dump_json(indent=2) + "\n"
    write_files(
        folder,
        {VOCABULARY_FILE: vocabulary, WEIGHTS_FILE: weights, CHECK_FILE: check, SETTINGS_FILE: document.encode()},
    )
    return settings


def _vocabulary(path: Path, data: bytes, settings: EncoderSettings) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"expected word pieces in UTF-8: {reason(error)}")) from error
    pieces = tuple(text.removesuffix("\n").split("\n"))
    _check_pieces(str(path), pieces, settings)
    return pieces


def _check_pieces(place: str, pieces: tuple[str, ...], settings: EncoderSettings) -> None:
    problems = [
        Problem(place, "the vocabulary has to hold this piece", value=piece)
        for piece in settings.special_tokens()
        if piece not in pieces
    ]
    if len(set(pieces)) != len(pieces):
        seen: set[str] = set()
        twice = next(piece for piece in pieces if piece in seen or seen.add(piece))  # type: ignore[func-returns-value]
        problems.append(Problem(place, "expected each word piece once", value=twice))
    if any("\n" in piece or "\r" in piece or not piece for piece in pieces):
        problems.append(Problem(place, "expected word pieces that are not empty and hold no line break"))
    if problems:
        raise InputError(problems)
