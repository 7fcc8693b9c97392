"""What a pretrained encoder makes of a product's texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from modules.errors import InputError, Problem
from modules.examples import VECTOR, encoding, transformed
from modules.features.base import TransformStep, check_columns
from modules.features.numeric import NumericFeature
from modules.settings.encodings import Encoding, EncodingSettings

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_ONE = 2.0**30
"""Parts of 1 that the sum of the vectors is counted in: exact, and so the same in any order of the products."""
_LEAST = 1e-4
"""Length of a centred vector below which only rounding is left of it."""


class EncodedFeature(NumericFeature):
    """The vector that a pretrained text encoder gives to the product's texts; zeros where they are blank.

    The encoder gives unit vectors v that all lie in one corner of the space. Transform moves them to where they differ:
    ``x = scale * (v - m) / |v - m|``, with m the mean of the vectors of the train split's products that have one. A
    product without a vector, or with exactly m, has x = 0.

    ProductExampleGen computes the vectors and writes them into the examples (:func:`modules.examples.encoding`); the
    exported model computes those that an example lacks.
    """

    suffix: ClassVar[str] = VECTOR
    is_embedding: ClassVar[bool] = True
    reads_names: ClassVar[bool] = True

    kind: Literal["encoded"] = "encoded"
    column: str | None = None
    """The product field; default: the feature's own name."""
    columns: tuple[str, ...] = ()
    """In place of ``column``: several product fields, which are encoded as one text, in this order."""
    encoder: Annotated[str, Field(min_length=1)] = "bge-small"
    """The name of an encoder that ``shelfmark encoder add`` has put on this machine, or an encoder's folder."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Length of each product's vector: how loud this feature is beside the others."""
    width: Annotated[int, Field(ge=1, le=65536)] | None = None
    """How many numbers the encoder's vectors have; null: as its folder says. To be given only where the encoder is not
    on the machine that compiles the workflow for Kubeflow."""

    @model_validator(mode="after")
    def _check(self) -> EncodedFeature:
        check_columns(self.column, self.columns)
        return self

    @property
    def size(self) -> int:
        if self.width is None:
            raise ValueError("the width of an encoder's vectors is read when the workflow's files are located")
        return self.width

    def columns_of(self, name: str) -> tuple[str, ...]:
        return self.columns or super().columns_of(name)

    def raw_columns(self, name: str) -> tuple[str, ...]:
        return (encoding(name),)

    def encoding_of(self, name: str) -> Encoding:
        return Encoding(encoder=self.encoder, columns=self.columns_of(name))

    def weight_files(self) -> dict[str, str]:
        return {"encoder": self.encoder}

    def find_weights(self, find: Callable[[str], Path]) -> dict[str, Path]:
        from modules.encoders.places import encoder_of_feature

        return {"encoder": encoder_of_feature(self.encoder, find)}

    def with_weights(self, paths: Mapping[str, Path]) -> Self:
        from modules.encoders.folder import read_settings

        path = paths["encoder"]
        if self.width is None and not path.is_dir():
            hint = "where pods alone see it, give the feature its width"
            raise InputError(
                Problem(str(path), "expected an encoder's folder; there is none on this machine", hint=hint)
            )
        width = read_settings(path).width if self.width is None else self.width
        return self.model_copy(update={"encoder": str(path), "width": width})

    def for_transform(self) -> EncodedFeature:
        """Without the encoder, whose vectors the examples have, and whose place changes nothing."""
        return self.model_copy(update={"encoder": type(self)().encoder, "columns": (), "column": None})

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/vector``: centred, of length ``scale``; zeros where there is no vector."""
        import tensorflow as tf

        from modules.graph_ops.vectors import rows_of_length

        vectors, present = rows_of_length(columns[0], self.size)
        parts = tf.cast(tf.round(tf.cast(vectors, tf.float64) * _ONE), tf.int64)
        total = tf.ensure_shape(tf.reduce_sum(parts, axis=0, keepdims=True), [1, self.size])
        count = tf.reshape(tf.reduce_sum(tf.cast(present, tf.int64)), [1, 1])

        def outputs(sums: Sequence[tf.Tensor], boundaries: Sequence[tf.Tensor]) -> dict[str, Any]:
            whole, products = (tf.cast(number, tf.float64) for number in sums)
            mean = tf.cast(whole / _ONE / tf.maximum(products, 1.0), tf.float32)
            centred = tf.where(present[:, None], vectors - mean, 0.0)
            length = tf.norm(centred, axis=1, keepdims=True)
            unit = tf.where(length > _LEAST, centred / tf.maximum(length, _LEAST), 0.0)
            return {transformed(name, VECTOR): tf.ensure_shape(self.scale * unit, [None, self.size])}

        return TransformStep(outputs, [total, count])

    def name_vectors(self, categories: Sequence[Sequence[str]], kept: EncodingSettings) -> np.ndarray:
        """As :meth:`transform` has it, with the paths' own mean: names lie in a corner of their own.

        A category with several texts lies in the middle of their vectors; it moves no other one.
        """
        import numpy as np

        from modules.encoders.passing import encode_texts

        def encoded(texts: list[str]) -> np.ndarray:
            return encode_texts(self.encoder, texts, cache=kept.cache, max_cache_bytes=kept.max_cache_bytes)

        vectors = encoded([texts[0] for texts in categories])
        mean = vectors.mean(axis=0)
        # By a pass of their own: what else is in a batch may change a vector's last bit, and paths keep theirs.
        rows = [row for row, texts in enumerate(categories) for _ in texts[1:]]
        if rows:
            more = encoded([text for texts in categories for text in texts[1:]])
            sums = vectors.astype(np.float64)
            np.add.at(sums, rows, more)
            told = np.unique(rows)
            vectors[told] = sums[told] / np.maximum(np.linalg.norm(sums[told], axis=1, keepdims=True), _LEAST)
        centred = vectors - mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.where(length > _LEAST, self.scale * centred / np.maximum(length, _LEAST), 0.0).astype(np.float32)

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        # The largest number of a vector of this length is at least scale / sqrt(size).
        return abs(inputs[transformed(name, VECTOR)]) * (2.0 * self.size / self.scale)
