"""NumPy arrays by the type of their elements, for type hints; a docstring says which shape each has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Uint8Array = npt.NDArray[np.uint8]
Float16Array = npt.NDArray[np.float16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating]
"""Floating-point numbers of any width."""
Int64Array = npt.NDArray[np.int64]
IntpArray = npt.NDArray[np.intp]
"""What NumPy indexes with: what ``argsort`` and ``nonzero`` return."""
IntArray = npt.NDArray[np.integer]
"""Integers of any width."""
