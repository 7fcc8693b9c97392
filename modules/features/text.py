"""Text: words, word n-grams and character n-grams with TF-IDF weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from modules.examples import TOKEN_IDS, TOKEN_SEQUENCE, TOKEN_WEIGHTS, transformed
from modules.features.base import FeatureSettings, LayerSettings, Learned, ModelContext, TransformStep, check_columns
from modules.settings.base import Settings

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from scipy import sparse

NgramRange = tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]]


class HashedNgrams(Settings):
    """n-grams hashed into buckets: no vocabulary to count and to ship."""

    ngrams: NgramRange = (2, 5)
    """Smallest and largest n."""
    buckets: Annotated[int, Field(ge=256, le=2**24)] = 65536

    @model_validator(mode="after")
    def _check(self) -> HashedNgrams:
        if self.ngrams[0] > self.ngrams[1]:
            raise ValueError(f"ngrams must be [smallest, largest], not {list(self.ngrams)}")
        return self


class TextFeature(FeatureSettings):
    """Unicode words, lower-cased; top-k vocabulary, TF-IDF weights."""

    reads_names: ClassVar[bool] = True

    kind: Literal["text"] = "text"
    column: str | None = None
    """The product field; default: the feature's own name."""
    columns: tuple[str, ...] = ()
    """In place of ``column``: several product fields, read as one text. What stands in any of them counts alike, and
    a longer field counts for more."""
    vocabulary: Annotated[int, Field(ge=1)] = 8000
    """Most frequent words kept."""
    word_ngrams: HashedNgrams | None = None
    """Runs of 2 or more words (``{ngrams: [2, 2]}``), hashed."""
    characters: HashedNgrams | None = None
    """Runs of characters inside a word and its two borders, hashed."""
    sequence: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Length of the token sequence handed on to sequence models; None: no sequence."""
    weights: Literal["tfidf", "count", "binary"] = "tfidf"
    sublinear: bool = False
    """Use 1 + log(count) in place of count."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Length of each product's weight vector: how loud this column is beside the others."""
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the embedding bag in deep models."""
    embedding: Literal["learned", "random_fixed", "pretrained"] = "learned"
    pretrained: str | None = None
    """A text file of word vectors (word, then numbers, separated by spaces) for ``embedding: pretrained``."""

    @model_validator(mode="after")
    def _check(self) -> TextFeature:
        if (self.embedding == "pretrained") != (self.pretrained is not None):
            raise ValueError("embedding: pretrained and the key pretrained (a file) go together")
        check_columns(self.column, self.columns)
        return self

    @property
    def size(self) -> int:
        """How many distinct ids there are: words, then word n-gram buckets, then character n-gram buckets."""
        hashes = [part.buckets for part in (self.word_ngrams, self.characters) if part is not None]
        return self.vocabulary + sum(hashes)

    def columns_of(self, name: str) -> tuple[str, ...]:
        return self.columns or super().columns_of(name)

    def weight_files(self) -> dict[str, str]:
        return {"pretrained": self.pretrained} if self.pretrained else {}

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/ids`` (sparse int64, below :attr:`size`) and ``<name>/weights`` (sparse float32).

        Also ``<name>/tokens`` (int64 of fixed length, 0 pads, 1 is out of vocabulary) where ``sequence`` is set.
        """
        from modules.graph_ops import text as text_ops

        word_ids, parts = _parts(name, self, text_ops.joined(columns))
        if self.weights != "tfidf":
            return TransformStep.without_counts(_outputs(name, self, word_ids, parts, ()))

        def outputs(sums: Sequence[tf.Tensor]) -> dict[str, Any]:
            *frequencies, products = sums
            idf = [text_ops.inverse_document_frequency(frequency, products) for frequency in frequencies]
            return _outputs(name, self, word_ids, parts, idf)

        frequencies = [text_ops.document_frequencies(part.distinct, part.size) for part in parts]
        return TransformStep([*frequencies, text_ops.rows_of(word_ids)], outputs)

    def learned(self, name: str, transform_output: Any, seed: int) -> Learned:
        if self.pretrained is None:
            return Learned(self.size)
        from modules.graph_ops.layers import pretrained_table

        words = [word.decode() for word in transform_output.vocabulary_by_name(f"{name}_words")]
        return Learned(self.size, pretrained_table(self.pretrained, words, self.width, self.size, seed))

    def example_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        return {
            transformed(name, TOKEN_IDS): tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
            transformed(name, TOKEN_WEIGHTS): tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
        }

    def to_inputs(self, name: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
        """Token ids, padded with -1 to the batch's longest row, and their weights, padded with 0."""
        import tensorflow as tf

        from modules.graph_ops.layers import PADDING

        ids, weights = parsed[transformed(name, TOKEN_IDS)], parsed[transformed(name, TOKEN_WEIGHTS)]
        if isinstance(ids, tf.SparseTensor):
            ids, weights = tf.RaggedTensor.from_sparse(ids), tf.RaggedTensor.from_sparse(weights)
        return {
            transformed(name, TOKEN_IDS): ids.to_tensor(tf.constant(PADDING, tf.int64)),
            transformed(name, TOKEN_WEIGHTS): weights.to_tensor(0.0),
        }

    def keras_inputs(self, name: str) -> dict[str, Any]:
        import keras

        return {
            transformed(name, TOKEN_IDS): keras.Input((None,), dtype="int64", name=f"{name}_ids"),
            transformed(name, TOKEN_WEIGHTS): keras.Input((None,), dtype="float32", name=f"{name}_weights"),
        }

    def linear_map(self, name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        from modules.graph_ops.layers import EmbeddingBag

        bag = EmbeddingBag(
            self.size, layer.width, layer.initializer, context.input_dropout, context.next_seed(),
            name=layer.name, trainable=layer.trainable,
        )  # fmt: skip
        return bag(inputs[transformed(name, TOKEN_IDS)], inputs[transformed(name, TOKEN_WEIGHTS)])

    def encoded(self, name: str, inputs: Mapping[str, Any], context: ModelContext) -> Any:
        from modules.graph_ops.layers import TableInitializer

        start: Any = context.normal(self.width**-0.5)
        table = context.learned[name].table
        if table is not None:
            start = TableInitializer(table)
        layer = LayerSettings(f"{name}_embedding", self.width, start, self.embedding != "random_fixed")
        return self.linear_map(name, inputs, layer, context)

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        return inputs[transformed(name, TOKEN_IDS)] + 1  # padding is -1

    def design_block(self, name: str, inputs: Mapping[str, np.ndarray], size: int) -> sparse.csr_matrix:
        import numpy as np
        from scipy import sparse

        ids, weights = inputs[transformed(name, TOKEN_IDS)], inputs[transformed(name, TOKEN_WEIGHTS)]
        rows, at = np.nonzero(ids >= 0)
        return sparse.csr_matrix((weights[rows, at], (rows, ids[rows, at])), (len(ids), size))


@dataclass
class _Part:
    """One sort of tokens: the distinct ids in [0, size) of each row, and how often each is there."""

    size: int
    distinct: tf.RaggedTensor
    counts: tf.Tensor


def _parts(name: str, feature: TextFeature, text: tf.Tensor) -> tuple[tf.RaggedTensor, list[_Part]]:
    """Word ids in the text's order (-1: not in the vocabulary); the parts: words, word n-grams, characters."""
    import tensorflow_transform as tft

    from modules.graph_ops import text as text_ops

    tokens = text_ops.words(text)
    known = tft.compute_and_apply_vocabulary(
        tokens.flat_values, top_k=feature.vocabulary, default_value=-1, vocab_filename=f"{name}_words"
    )
    word_ids = tokens.with_flat_values(known)
    parts = [(word_ids, feature.vocabulary)]
    if feature.word_ngrams is not None:
        grams = text_ops.word_ngrams(tokens, *feature.word_ngrams.ngrams)
        parts.append((text_ops.hashed(grams, feature.word_ngrams.buckets), feature.word_ngrams.buckets))
    if feature.characters is not None:
        grams = text_ops.character_ngrams(tokens, *feature.characters.ngrams)
        parts.append((text_ops.hashed(grams, feature.characters.buckets), feature.characters.buckets))
    return word_ids, [_Part(size, *text_ops.counted(ids, size)) for ids, size in parts]


def _outputs(
    name: str, feature: TextFeature, word_ids: tf.RaggedTensor, parts: Sequence[_Part], idf: Sequence[tf.Tensor]
) -> dict[str, Any]:
    import tensorflow as tf

    all_ids, all_weights, offset = [], [], 0
    for part, inverse in zip(parts, idf or [None] * len(parts), strict=True):
        all_ids.append(tf.ragged.map_flat_values(tf.add, part.distinct, tf.constant(offset, tf.int64)))
        all_weights.append(part.distinct.with_values(_weights(part, feature, inverse)))
        offset += part.size
    outputs = {
        transformed(name, TOKEN_IDS): _two_dimensional(tf.concat(all_ids, axis=1).to_sparse()),
        transformed(name, TOKEN_WEIGHTS): _two_dimensional(tf.concat(all_weights, axis=1).to_sparse()),
    }
    if feature.sequence is not None:
        kept = tf.ragged.map_flat_values(tf.add, word_ids, tf.constant(2, tf.int64))  # 0 pads, 1 is out of vocabulary
        outputs[transformed(name, TOKEN_SEQUENCE)] = kept[:, : feature.sequence].to_tensor(
            0, shape=[None, feature.sequence]
        )
    return outputs


def _two_dimensional(values: tf.SparseTensor) -> tf.SparseTensor:
    """The same with a rank that Transform's schema inference can see."""
    import tensorflow as tf

    return tf.SparseTensor(
        tf.ensure_shape(values.indices, [None, 2]), values.values, tf.ensure_shape(values.dense_shape, [2])
    )


def _weights(part: _Part, feature: TextFeature, idf: tf.Tensor | None) -> tf.Tensor:
    """Weight of each distinct id, rows of Euclidean length ``feature.scale``; float32, in the flat order."""
    import tensorflow as tf

    from modules.graph_ops import text as text_ops

    weights = part.counts
    if feature.sublinear:
        weights = 1.0 + tf.math.log(weights)
    if feature.weights == "binary":
        weights = tf.ones_like(weights)
    elif idf is not None:
        weights = weights * tf.gather(idf, part.distinct.values)
    return text_ops.unit_length(weights, part.distinct.value_rowids(), part.distinct.nrows(), feature.scale)
