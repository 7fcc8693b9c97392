"""A tiny encoder that tests make themselves: a random network and a vocabulary of its own."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from modules.encoders.folder import EncoderFolder, EncoderSettings, write_encoder

WORDS = (
    "red", "blue", "green", "black", "shoe", "shoes", "boot", "shirt", "dress", "cotton", "wool", "men", "women",
    "kids",
    "cable", "phone", "case", "charger", "battery", "lamp", "table", "chair", "desk", "steel", "wood", "pan", "pot",
    "knife",
    "cup", "mug", "tea", "coffee", "bag", "book", "toy", "game", "ball", "bike", "large", "small", "set", "for", "with",
    "and", "of", "the", "a", "in", "query",
)  # fmt: skip
PIECES = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS,
    *(c for c in string.ascii_lowercase + string.digits + string.punctuation + "σßłчай不钢ミé" if c not in WORDS),
    *(f"##{c}" for c in string.ascii_lowercase + string.digits + "σßłчай"),
    "##ing", "##er", "##s'",
)  # fmt: skip
EMPTY = "0" * 64


def tiny_settings(**changes: object) -> EncoderSettings:
    """Two layers, 16 wide; ``changes`` replace settings."""
    settings: dict[str, object] = {
        "name": "tiny", "licence": "CC0-1.0", "origin": "made by a test", "layers": 2, "heads": 2, "width": 16,
        "intermediate_width": 32, "positions": 64, "pooling": "mean", "max_tokens": 32, "vocabulary_checksum": EMPTY,
        "weights_checksum": EMPTY,
    }  # fmt: skip
    return EncoderSettings.model_validate(settings | changes)


def tiny_content(seed: int = 0, **changes: object) -> EncoderFolder:
    """The content of a folder, with check vectors that TextEncoder computes."""
    from modules.encoders.text_encoder import TextEncoder, check_vectors

    settings = tiny_settings(**changes)
    draw = np.random.default_rng(seed)
    weights = {
        # Layers' normalisation scales around one, so that every text has a vector of its own.
        name: (draw.normal(0, 0.3, shape) + (name.endswith("LayerNorm.weight"))).astype(np.float32)
        for name, shape in settings.shapes(len(PIECES)).items()
    }
    encoder = EncoderFolder(settings, PIECES, weights, None)
    return EncoderFolder(settings, PIECES, weights, check_vectors(TextEncoder(encoder)))


def tiny_encoder(folder: Path, seed: int = 0, **changes: object) -> Path:
    """Writes a tiny random encoder; ``changes`` replace settings (``pooling``, ``prefix``, ``max_tokens``, ...)."""
    write_encoder(tiny_content(seed, **changes), folder)
    return folder
