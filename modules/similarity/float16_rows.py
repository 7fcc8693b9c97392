"""Conversion of float16 rows to float32, several times as fast as NumPy's cast, which takes one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array

_CACHED = 1 << 14
"""The number of values that one pass converts, so that they stay in the processor's cache."""
_SIGN_AND_FRACTION = np.int32(-0x70002000)
"""Masks a float16 whose sign was extended to 32 bits and that was shifted by 13: it drops the copies of the sign."""
_EXPONENT = np.float32(2.0**112)
"""The difference of the exponents' biases, 127 - 15."""


def to_float32(vectors: npt.NDArray[Any], out: Float32Array | None = None) -> Float32Array:
    """Converts numbers to float32; returns a float32 array as it is.

    Args:
      vectors: (n, ...), of any type that float32 holds; float16 values must be finite.
      out: a contiguous array to write to; None: a new one.
    """
    if vectors.dtype != np.float16:
        if out is None:
            return np.asarray(vectors, np.float32)
        np.copyto(out, vectors)
        return out
    if out is None:
        out = np.empty(vectors.shape, np.float32)
    bits = vectors.view(np.int16)
    step = max(1, _CACHED * len(vectors) // max(1, vectors.size))
    for start in range(0, len(vectors), step):
        wide = out[start : start + step]
        moved = wide.view(np.int32)
        np.copyto(moved, bits[start : start + step])
        np.left_shift(moved, 13, out=moved)
        np.bitwise_and(moved, _SIGN_AND_FRACTION, out=moved)
        np.multiply(wide, _EXPONENT, out=wide)
    return out
