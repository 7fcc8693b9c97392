"""Kernel ridge regression, and what it says of each example without having seen it."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.blas import dtrsm

from modules.arrays import Float32Array, Float64Array

LEFT_OUT = 512
"""Examples that are left out at a time."""
BLOCK = 2048
"""Columns of a Cholesky factor that are found at a time."""


def regression(kernel: Float32Array, targets: Float32Array, ridge: float) -> tuple[Float32Array, Float32Array]:
    """Kernel ridge regression: dual coefficients, and what it says of each example without having seen it.

    With a = (K + ridge I)^-1 y, leaving the examples g out gives y_g - (((K + ridge I)^-1)_gg)^-1 a_g (Allen 1974,
    PRESS; for groups: An, Liu and Venkatesh 2007, "Fast cross-validation algorithms for least squares support vector
    machine and kernel ridge regression").

    Args:
      kernel: (copies * n, copies * n), symmetric; the examples, then copies of them all in the same order, if any.
      targets: (n, columns).

    Returns:
      (copies * n, columns); and (n, columns), of the examples themselves, each left out together with its copies.
    """
    count = len(targets)
    copies = len(kernel) // count
    matrix = kernel.astype(np.float64, order="F")
    matrix[np.diag_indices(len(matrix))] += ridge
    # In place, as the matrix may be most of the memory.
    cholesky(matrix)
    dual = cho_solve((matrix, True), np.tile(targets, (copies, 1)), check_finite=False)
    errors = np.empty(targets.shape)
    for at in range(0, count, LEFT_OUT):
        which = np.arange(at, min(at + LEFT_OUT, count))
        rows = (which[:, None] + count * np.arange(copies)).ravel()
        columns = np.zeros((len(matrix), len(rows)), order="F")
        columns[rows, np.arange(len(rows))] = 1.0
        # Blocks of the inverse are products of columns of L^-1.
        columns = dtrsm(1.0, matrix, columns, lower=1, overwrite_b=1).reshape(len(matrix), len(which), copies)
        blocks = np.einsum("ngi,ngj->gij", columns, columns, optimize=True)
        errors[which] = np.linalg.solve(blocks, dual[rows].reshape(len(which), copies, -1))[:, 0]
    return dual.astype(np.float32), (targets - errors).astype(np.float32)


def cholesky(matrix: Float64Array) -> None:
    """L of matrix = L L^T, in its place: in the lower triangle; the upper one is left as it comes.

    By blocks: LAPACK's own, of SciPy and of NumPy (OpenBLAS 0.3.30 and 0.3.31), crashes with 18,645 rows and two
    threads.

    Raises:
      LinAlgError: the matrix is not positive definite.
    """
    rows = len(matrix)
    for first in range(0, rows, BLOCK):
        last = min(first + BLOCK, rows)
        matrix[first:last, first:last] = np.linalg.cholesky(matrix[first:last, first:last])
        below = matrix[last:, first:last]
        below[:] = solve_triangular(matrix[first:last, first:last], below.T, lower=True, check_finite=False).T
        for at in range(last, rows, BLOCK):
            matrix[at:, at : at + BLOCK] -= below[at - last :] @ below[at - last : at - last + BLOCK].T
