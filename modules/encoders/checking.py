"""Whether a converted encoder gives the vectors that it has to, and whether float16 is enough for its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modules.arrays import Float32Array
from modules.encoders.known import KnownEncoder
from modules.errors import InputError, Problem

if TYPE_CHECKING:
    from modules.encoders.files import WeightArray

LEAST_COSINE = 0.9999
"""Of the vector of each check sentence or picture and what it has to be."""
REFERENCES = Path(__file__).parent / "references"
"""Their vectors by the known encoders' original files in ONNX Runtime or PyTorch: ``<name>.npy``."""


def reduced(
    weights: Mapping[str, WeightArray],
    vectors: Callable[[Mapping[str, WeightArray]], Float32Array],
    origin: str,
    known: KnownEncoder | None,
) -> tuple[Mapping[str, WeightArray], Float32Array]:
    """The weights, as float16 if no check vector changes by that, and the check vectors that they give.

    Args:
      weights: tensors by name.
      vectors: what an encoder with such weights gives for what it is checked with.
      origin: of the weights, for messages.
      known: the encoder, if there are vectors of its original.

    Raises:
      InputError: the vectors are not the original's, or not finite.
    """
    import numpy as np

    exact = vectors(weights)
    if known is not None:
        reference = np.load(REFERENCES / f"{known.name}.npy", allow_pickle=False).astype(np.float32)
        worst = least_cosine(exact, reference)
        if not worst > LEAST_COSINE:
            expected = f"expected the vectors of {known.title}: the least cosine of {len(exact)} is {worst:.6f}"
            raise InputError(Problem(origin, expected, hint="this is a mistake of Shelfmark: report it"))
    if not np.isfinite(exact).all():
        raise InputError(Problem(origin, "the network gives vectors that are not finite"))
    with np.errstate(over="ignore"):
        halves = {key: tensor.astype(np.float16) for key, tensor in weights.items()}
    if all(np.isfinite(tensor).all() for tensor in halves.values()):
        check = vectors(halves)
        if least_cosine(check, exact) > LEAST_COSINE:
            return halves, check
    return weights, exact


def check_copy(origin: str, vectors: Float32Array, check: Float32Array) -> None:
    """Raises an InputError unless a copied encoder gives here the vectors that it gave where it was made."""
    worst = least_cosine(vectors, check)
    if not worst > LEAST_COSINE:
        expected = f"the encoder gives other vectors than it did where it was made: the least cosine is {worst:.6f}"
        raise InputError(Problem(origin, expected, hint="make it again of its package: shelfmark encoder add PATH"))


def least_cosine(vectors: Float32Array, others: Float32Array) -> float:
    """Least cosine of the rows of two tables; two rows of zeros agree."""
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    both_blank = ~vectors.any(axis=1) & ~others.any(axis=1)
    cosines = (vectors * others).sum(axis=1) / np.where(norms > 0, norms, 1.0)
    return float(np.where(both_blank, 1.0, cosines).min())
