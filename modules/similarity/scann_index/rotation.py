"""Random rotations, so that all dimensions have values of about the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array
from modules.similarity.float16_rows import to_float32

_WIDEST = 512
"""A block of numbers that is rotated."""


def random_rotation(dimension: int, rng: np.random.Generator) -> Float32Array:
    """float32 (b, w, w): a random rotation of each of b blocks of w numbers; one block as a rule."""
    width = next((w for w in range(_WIDEST, 31, -1) if dimension % w == 0), dimension)
    width = dimension if dimension <= _WIDEST else width
    blocks = [np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(dimension // width)]
    return np.stack(blocks).astype(np.float32)


def rotate(vectors: npt.NDArray[Any], rotation: Float32Array) -> Float32Array:
    """Vectors (n, d) rotated, float32. Neighbouring blocks are mixed: numbers of a block lie b places apart."""
    blocks = len(rotation)
    wide = to_float32(vectors)
    if blocks == 1:
        return wide @ rotation[0]
    parts = [wide[:, block::blocks] @ rotation[block] for block in range(blocks)]
    return np.concatenate(parts, axis=1)
