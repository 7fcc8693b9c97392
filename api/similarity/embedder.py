"""Texts and images to embeddings by the run's own model; TensorFlow is imported when the first one comes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modules.arrays import Float32Array
from modules.errors import InputError, Problem, reason
from modules.examples import ID, IMAGE_BYTES, TITLE
from modules.predictions.columns import embeddings_in
from modules.similarity.changes import unit
from modules.similarity.identity import fingerprint

_SIGNATURES = ("table", "serving_default")


@dataclass(frozen=True)
class Raw:
    """A product that is not in the index. ``image``: a canonical JPEG (:func:`modules.images.decode.canonical`)."""

    title: str | None = None
    image: bytes | None = None


class Embedder:
    """A run's SavedModel.

    Attributes:
      folder: of the SavedModel.
    """

    def __init__(self, folder: str | Path):
        """Looks at the folder; loads nothing.

        Raises:
          InputError: there is no model.
        """
        self.folder = Path(folder)
        if not (self.folder / "saved_model.pb").is_file():
            raise InputError(Problem(str(folder), "the folder of a SavedModel; there is none"))
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._empty: dict[str, Float32Array] = {}

    @cached_property
    def model(self) -> str:
        """The model's fingerprint, which the indexes that it fits to name; its files are read at the first call."""
        return fingerprint(self.folder)

    def prepare(self, whole: bool) -> None:
        """Does now what the first use would wait for: the fingerprint, and, with ``whole``, loading the model."""
        _ = self.model
        if whole:
            self.load()

    def load(self) -> Any:
        """The model's signature; loaded at the first call.

        Raises:
          InputError: TensorFlow cannot load it, or it has no such signature.
        """
        with self._lock:
            if self._loaded is None:
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
                import tensorflow as tf

                from modules.saved_models import load_saved_model

                try:
                    model = load_saved_model(str(self.folder))
                except (OSError, ValueError, tf.errors.OpError) as error:
                    expected = f"a SavedModel that TensorFlow can load ({reason(error, 200)})"
                    raise InputError(Problem(str(self.folder), expected)) from None
                name = next((name for name in _SIGNATURES if name in model.signatures), None)
                if name is None:
                    expected = f"a model with one of the signatures {', '.join(_SIGNATURES)}"
                    raise InputError(Problem(str(self.folder), expected))
                # The loaded object must stay alive as long as its signature is used.
                self._loaded = (model, model.signatures[name])
                self._empty = self._embed([Raw()])
            return self._loaded[1]

    def __call__(self, products: Sequence[Raw]) -> Mapping[str, Float32Array]:
        """The model's embeddings of the products: ``embedding`` and the others that it gives out, float32 (n, d), rows
        of unit length; zeros of what the model cannot tell from nothing at all."""
        self.load()
        embeddings = self._embed(products)
        for name, rows in embeddings.items():
            rows[np.abs(rows - self._empty[name]).max(axis=1) < 1e-5] = 0.0
        return embeddings

    def _embed(self, products: Sequence[Raw]) -> dict[str, Float32Array]:
        import tensorflow as tf

        examples = tf.constant([_example(product) for product in products], tf.string)
        outputs = self._loaded[1](examples=examples)
        return {name: unit(np.asarray(outputs[name])) for name in embeddings_in(outputs)}


def _example(product: Raw) -> bytes:
    import tensorflow as tf

    features = {ID: b""}
    if product.title is not None:
        features[TITLE] = product.title.encode("utf-8", "replace")
    if product.image is not None:
        features[IMAGE_BYTES] = product.image
    made = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in features.items()}
    data: bytes = tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()
    return data
