"""Text: words, word n-grams and character n-grams with TF-IDF weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from modules.errors import Problem
from modules.examples import TOKEN_IDS, TOKEN_SEQUENCE, TOKEN_WEIGHTS, transformed
from modules.features.base import FeatureSettings, LayerSettings, Learned, ModelContext, TransformStep, check_columns
from modules.features.text_encoders import DEFAULT, KINDS, TextEncoder
from modules.features.text_encoders.base import FIRST_WORD, SOME_READ, WEIGHTS, Text
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from scipy import sparse

    from modules.settings.workflow import Workflow

SEQUENCE = 64
"""Words in their order, unless a feature says how many."""
VECTORS = ("encoder", "embedding")
"""Settings of word vectors, which a model without any does not read."""

NgramRange = tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]]


class HashedNgrams(Settings):
    """n-grams hashed into buckets: no vocabulary to count and to ship."""

    ngrams: NgramRange = (2, 5)
    """Smallest and largest n."""
    buckets: Annotated[int, Field(ge=256, le=2**24)] = 65536
    """How many buckets the n-grams are hashed into. In fewer, more n-grams share one."""

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
    """How many words, from the text's beginning, an encoder gets that reads them in their order; null: 64."""
    weights: Literal["tfidf", "count", "binary"] = "tfidf"
    """How much a word counts: ``tfidf`` more where few products have it, ``count`` as often as it occurs, ``binary``
    once."""
    sublinear: bool = False
    """Use 1 + log(count) in place of count."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """Length of each product's weight vector: how loud this column is beside the others."""
    encoder: TextEncoder = DEFAULT
    """How the words become one vector in the deep part of models with hidden layers."""
    width: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Width of a word's vector in models with hidden layers; null: 64, with ``embedding: random_fixed`` the binary
    logarithm of ``vocabulary``, rounded up, and with ``pretrained`` as wide as the file's vectors."""
    embedding: Literal["learned", "random_fixed", "pretrained", "pretrained_fixed"] = "learned"
    """Where words' vectors come from: learnt from a random start; random, and never changed; or out of the file
    ``pretrained``, from which they learn on, or which they stay as (``pretrained_fixed``)."""
    pretrained: str | None = None
    """A file of word vectors in the text form of word2vec, GloVe or fastText (a word, then its numbers, separated by
    spaces), also compressed, for ``embedding: pretrained`` and ``pretrained_fixed``."""

    @model_validator(mode="after")
    def _check(self) -> TextFeature:
        if self.embedding.startswith("pretrained") != (self.pretrained is not None):
            raise ValueError("embedding: pretrained or pretrained_fixed and the key pretrained (a file) go together")
        check_columns(self.column, self.columns)
        return self

    @property
    def size(self) -> int:
        """How many distinct ids there are: words, then word n-gram buckets, then character n-gram buckets."""
        hashes = [part.buckets for part in (self.word_ngrams, self.characters) if part is not None]
        return self.vocabulary + sum(hashes)

    def columns_of(self, name: str) -> tuple[str, ...]:
        return self.columns or super().columns_of(name)

    @property
    def ordered_words(self) -> int | None:
        """How many words Transform writes in their order; None: the encoder reads none."""
        return (self.sequence or SEQUENCE) if "sequence" in self.encoder.reads else None

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """Also settings that neither the encoder nor the model reads."""
        yield from super().check(workflow, place)
        others = workflow.committee.kinds if workflow.committee is not None else ()
        models = [workflow.model, *(member.model for member in others)]
        changed = {key: getattr(self, key) for key in (*VECTORS, *SOME_READ) if not self._is_default(key)}
        if any(model.reads_word_vectors for model in models):
            weighed = any(model.reads_weights for model in models)
            unheeded = [key for key in SOME_READ if key not in self.encoder.reads and not (weighed and key in WEIGHTS)]
            expected = f"no such key: encoder.kind: {self.encoder.kind} does not read it, {{}}"
        else:
            unheeded, expected = [*VECTORS, "sequence"], "no such key: this model makes no vectors of words; {}"
        for key in unheeded:
            if key in changed:
                value = changed[key].model_dump() if isinstance(changed[key], Settings) else changed[key]
                yield contradiction(f"{place}.{key}", value, expected.format(_readers(key)))

    def _is_default(self, key: str) -> bool:
        return bool(getattr(self, key) == type(self).model_fields[key].default)

    def for_transform(self) -> TextFeature:
        """Without what only the model reads."""
        kept = DEFAULT if self.ordered_words is None else type(self.encoder)()
        fields = type(self).model_fields
        update = {key: fields[key].default for key in ("width", "embedding", "pretrained")}
        return self.model_copy(update={**update, "encoder": kept})

    def weight_files(self) -> dict[str, str]:
        return {"pretrained": self.pretrained} if self.pretrained else {}

    def with_weights(self, paths: Mapping[str, Path]) -> Self:
        from modules.features.word_vectors import check_word_vectors

        # Of a workflow that is compiled for Kubeflow, only the pods may have it.
        if "pretrained" in paths and paths["pretrained"].is_file():
            check_word_vectors(str(paths["pretrained"]), self.width)
        return super().with_weights(paths)

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/ids`` (sparse int64, below :attr:`size`) and ``<name>/weights`` (sparse float32).

        Also ``<name>/tokens`` (sparse int64, in the text's order; 1 is out of vocabulary, word i is i + 2) where the
        encoder reads them.
        """
        from modules.graph_ops import text as text_ops

        word_ids, parts = _parts(name, self, text_ops.joined(columns))
        if self.weights != "tfidf":
            return TransformStep.of(_outputs(name, self, word_ids, parts, ()))

        def outputs(sums: Sequence[tf.Tensor], boundaries: Sequence[tf.Tensor]) -> dict[str, Any]:
            *frequencies, products = sums
            idf = [text_ops.inverse_document_frequency(frequency, products) for frequency in frequencies]
            return _outputs(name, self, word_ids, parts, idf)

        frequencies = [text_ops.document_frequencies(part.distinct, part.size) for part in parts]
        return TransformStep(outputs, [*frequencies, text_ops.rows_of(word_ids)])

    def learned(self, name: str, transform_output: Any, seed: int) -> Learned:
        if self.pretrained is None:
            return Learned(self.size)
        from modules.features.word_vectors import read_word_vectors

        words = [word.decode() for word in transform_output.vocabulary_by_name(f"{name}_words")]
        return Learned(self.size, read_word_vectors(self.pretrained, words, self.width, seed))

    def example_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        types = {TOKEN_IDS: tf.int64, TOKEN_WEIGHTS: tf.float32}
        if self.ordered_words is not None:
            types[TOKEN_SEQUENCE] = tf.int64
        return {
            transformed(name, part): tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
            for part, dtype in types.items()
        }

    def to_inputs(self, name: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
        """Token ids, padded with -1 to the batch's longest row, and their weights, padded with 0.

        Tokens in their order are padded with 0, to one at least: no layer has to know of a batch without a word.
        """
        import tensorflow as tf

        from modules.graph_ops.layers import PADDING

        inputs = {}
        for key in self.example_spec(name):
            values = parsed[key]
            if isinstance(values, tf.SparseTensor):
                values = tf.RaggedTensor.from_sparse(values)
            padding = PADDING if key == transformed(name, TOKEN_IDS) else 0
            inputs[key] = values.to_tensor(tf.constant(padding, values.dtype))
        if self.ordered_words is not None:
            key = transformed(name, TOKEN_SEQUENCE)
            inputs[key] = tf.pad(inputs[key], [[0, 0], [0, tf.maximum(0, 1 - tf.shape(inputs[key])[1])]])
        return inputs

    def keras_inputs(self, name: str) -> dict[str, Any]:
        import keras

        inputs = {
            transformed(name, TOKEN_IDS): keras.Input((None,), dtype="int64", name=f"{name}_ids"),
            transformed(name, TOKEN_WEIGHTS): keras.Input((None,), dtype="float32", name=f"{name}_weights"),
        }
        if self.ordered_words is not None:
            inputs[transformed(name, TOKEN_SEQUENCE)] = keras.Input((None,), dtype="int64", name=f"{name}_tokens")
        return inputs

    def linear_map(self, name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        from modules.graph_ops.layers import EmbeddingBag

        bag = EmbeddingBag.of(self.size, layer, context)
        return bag(inputs[transformed(name, TOKEN_IDS)], inputs[transformed(name, TOKEN_WEIGHTS)])

    def encoded(self, name: str, inputs: Mapping[str, Any], context: ModelContext) -> Any:
        from modules.graph_ops.layers import TableInitializer

        table = context.learned[name].table
        width = self._width if table is None else table.shape[1]
        start: Any = context.normal(width**-0.5)
        if table is not None:
            start = TableInitializer(table, start)
        layer = LayerSettings(f"{name}_embedding", width, start, not self.embedding.endswith("fixed"))
        ids, weights = inputs[transformed(name, TOKEN_IDS)], inputs[transformed(name, TOKEN_WEIGHTS)]
        tokens = inputs.get(transformed(name, TOKEN_SEQUENCE))
        return self.encoder.encoded(Text(name, ids, weights, tokens, self.size, self.vocabulary, layer, context))

    @property
    def _width(self) -> int:
        """Of a word's vector that comes from no file."""
        if self.width is not None:
            return self.width
        return max(1, (self.vocabulary - 1).bit_length()) if self.embedding == "random_fixed" else 64

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        return inputs[transformed(name, TOKEN_IDS)] + 1  # padding is -1

    def design_block(self, name: str, inputs: Mapping[str, np.ndarray], size: int) -> sparse.csr_matrix:
        import numpy as np
        from scipy import sparse

        ids, weights = inputs[transformed(name, TOKEN_IDS)], inputs[transformed(name, TOKEN_WEIGHTS)]
        rows, at = np.nonzero(ids >= 0)
        return sparse.csr_matrix((weights[rows, at], (rows, ids[rows, at])), (len(ids), size))


def _readers(key: str) -> str:
    """What reads a setting, as the end of a message."""
    if key in VECTORS:
        return "model.kind: deep and wide_deep do, with text_input: embedding_bag"
    kinds = ", ".join(kind.model_fields["kind"].default for kind in KINDS if key in kind.reads)
    wide = "; so does model.kind: wide_deep" if key in WEIGHTS else ", in model.kind: deep and wide_deep"
    return f"encoders of these kinds do: {kinds}{wide}"


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
    if feature.ordered_words is not None:
        kept = tf.ragged.map_flat_values(tf.add, word_ids, tf.constant(FIRST_WORD, tf.int64))
        outputs[transformed(name, TOKEN_SEQUENCE)] = _two_dimensional(kept[:, : feature.ordered_words].to_sparse())
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
