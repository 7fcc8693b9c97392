"""From TFMA's extracts to arrays: single products (TFMA's own extractors) or whole batches (:mod:`.extractors`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float64Array, Int64Array

PRODUCTS_KEY = "shelfmark_products"
"""Extract in the place of single products: a slice's facts per reader's name, or a :class:`BlockAuc`. Neither holds
scores: between extracts and metrics, Beam writes everything down."""


class EvaluatedBatch:
    """A batch of products: raw features and model outputs as TFMA's extractors left them."""

    def __init__(self, features: Mapping[str, Any], predictions: Any, n: int):
        self.features = features
        self.predictions = predictions
        self.n = n
        self._worked_out: dict[str, Any] = {}

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """The result of ``work``, which runs at the first call with this ``name``."""
        if name not in self._worked_out:
            self._worked_out[name] = work()
        return self._worked_out[name]


@dataclass(frozen=True)
class BlockAuc:
    """AUC of the classes from ``first`` on, over all products: float64 of shape (n_classes_of_the_block,).

    ``reader`` names the objective and model it belongs to.
    """

    reader: str
    first: int
    values: Float64Array


def ragged(feature: Any, n: int) -> tuple[Int64Array, npt.NDArray[Any]]:
    """Offsets (n + 1) and values of a feature of ``n`` products, whatever form TFMA gives it; None: no values.

    Raises:
      ValueError: the feature is in a form that TFMA does not have for a list per product, or of other products.
    """
    if feature is None:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int64)
    if isinstance(feature, np.ndarray):
        if feature.shape[0] != n:
            raise ValueError(f"a feature of {feature.shape[0]} products does not belong to {n}")
        width = int(np.prod(feature.shape[1:], dtype=np.int64))
        return np.arange(n + 1, dtype=np.int64) * width, feature.reshape(-1)
    if hasattr(feature, "indices"):  # VarLenTensorValue, SparseTensorValue
        counts = np.bincount(np.asarray(feature.indices)[:, 0], minlength=n)
        if len(counts) != n:
            raise ValueError(f"a feature of {len(counts)} products does not belong to {n}")
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.asarray(feature.values)
    if hasattr(feature, "nested_row_splits"):  # RaggedTensorValue
        return np.asarray(feature.nested_row_splits[0], np.int64), np.asarray(feature.values)
    raise ValueError(f"a feature cannot be read from {type(feature).__name__}")


def first_values(feature: Any, n: int, missing: float) -> npt.NDArray[Any]:
    """One value per product; ``missing`` where there is none."""
    offsets, values = ragged(feature, n)
    if len(values) == n and offsets[-1] == n and (np.diff(offsets) == 1).all():
        return values
    result = np.full(n, missing, values.dtype)
    filled = np.diff(offsets) > 0
    result[filled] = values[offsets[:-1][filled]]
    return result


def output_of(predictions: Any, key: str, model_name: str) -> npt.NDArray[Any] | None:
    """A model's output; None where the model does not have it."""
    if isinstance(predictions, Mapping) and model_name:
        predictions = predictions[model_name]
    if isinstance(predictions, Mapping):
        output = predictions.get(key)
        return None if output is None else np.asarray(output)
    return np.asarray(predictions)  # TFMA unwraps the dictionary of a model with a single output


def needed_output(predictions: Any, key: str, model_name: str) -> npt.NDArray[Any]:
    """:func:`output_of`, which must be there.

    Raises:
      ValueError: the model does not have the output.
    """
    output = output_of(predictions, key, model_name)
    if output is None:
        inner = predictions[model_name] if model_name else predictions
        raise ValueError(f"the model has no output {key!r}; it has {', '.join(sorted(inner))}")
    return output
