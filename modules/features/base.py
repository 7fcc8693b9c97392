"""What a kind of feature answers. Each kind is a file of this folder, and a line of ``modules.features``.

TensorFlow, Keras and SciPy are imported where a method needs them, since the settings are read without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from modules.errors import Problem
from modules.examples import Holds, ProductColumns
from modules.settings.base import Settings, contradiction
from modules.settings.encodings import Encoding, EncodingSettings

if TYPE_CHECKING:
    import numpy as np
    from scipy import sparse

    from modules.settings.workflow import Workflow


@dataclass(frozen=True)
class Quantiles:
    """Numbers whose quantiles are asked for.

    Attributes:
      values: float32 (n, 1), NaN for what is missing.
      buckets: how many parts the boundaries divide them into.
    """

    values: Any
    buckets: int


@dataclass(frozen=True)
class TransformStep:
    """A feature's part of TFX Transform's ``preprocessing_fn``.

    What is analysed, is analysed for all features at once: each analyzer more costs Transform a second.

    Attributes:
      outputs: called with the sums, (n,) each, and the boundaries, float32 (buckets - 1,) each, of zeros where there is
        no number; returns the transformed columns by name.
      sums: int64 or float64 tensors of shape (1, n), which are to be summed over the batches of the analysed split.
      quantiles: whose boundaries are asked for.
    """

    outputs: Callable[[Sequence[Any], Sequence[Any]], dict[str, Any]]
    sums: Sequence[Any] = ()
    quantiles: Sequence[Quantiles] = ()

    @classmethod
    def of(cls, outputs: dict[str, Any]) -> TransformStep:
        """A step for which nothing is analysed."""
        return cls(lambda sums, boundaries: outputs)


@dataclass(frozen=True)
class Learned:
    """What only a finished Transform knows of a feature.

    Attributes:
      size: the feature's columns in the design matrix of linear models, and rows of its embedding table.
      table: pretrained rows of the embedding table, float32 (at most ``size``, width); None: there are none.
    """

    size: int
    table: np.ndarray | None = None


@dataclass(frozen=True)
class LayerSettings:
    """A Keras layer that maps a feature to ``width`` numbers; ``initializer``: of its weights."""

    name: str
    width: int
    initializer: Any
    trainable: bool


@dataclass(frozen=True)
class ModelContext:
    """What a feature's layers need of the model that they become a part of.

    Attributes:
      next_seed: another random seed at each call.
      input_dropout: share of the tokens that training leaves out of each product.
      learned: feature to what Transform has found.
    """

    next_seed: Callable[[], int]
    input_dropout: float
    learned: Mapping[str, Learned]

    def normal(self, deviation: float) -> Any:
        """A Keras initializer of normally distributed weights around 0."""
        import keras

        return keras.initializers.RandomNormal(stddev=deviation, seed=self.next_seed())


def check_columns(column: str | None, columns: Sequence[str]) -> None:
    """Of a kind that reads one product field or several: refuses what names both, or one twice (ValueError)."""
    if columns and column:
        raise ValueError("either column or columns, not both")
    if len(set(columns)) < len(columns):
        raise ValueError("columns names a product field twice")


class FeatureSettings(Settings):
    """One feature of the model. ``name`` is its key in the workflow's ``features``.

    A feature with :attr:`has_tower` has an embedding of its own, which the model joins with that of all others; the
    methods for what Transform has learned, layers, design matrix and evidence are never called for it.
    """

    if TYPE_CHECKING:
        # Each kind declares them itself: a field's place decides where it stands in documents.
        kind: str
        column: str | None

    has_tower: ClassVar[bool] = False

    is_embedding: ClassVar[bool] = False
    """Whether it is an embedding of the product already, from which no further one is to be made."""

    reads_names: ClassVar[bool] = False
    """Whether it reads text, so that it can read a category's name as well."""

    reads: ClassVar[Holds] = "text"
    """What the columns hold that a feature of this kind can read; so it says what an attribute holds."""

    @property
    def vector_length(self) -> int | None:
        """How many numbers it reads out of a vector field of the products; None: it reads a text field."""
        return None

    def columns_of(self, name: str) -> tuple[str, ...]:
        """The columns of the products that it reads."""
        return (self.column or name,)

    def raw_columns(self, name: str) -> tuple[str, ...]:
        """The columns of the examples that Transform makes it of."""
        return self.columns_of(name)

    def encoding_of(self, name: str) -> Encoding | None:
        """What a pretrained encoder has to make of the products for it, before Transform; None: nothing."""
        return None

    def fields_of(self, name: str) -> tuple[str, ...]:
        """The keys of ``feed.fields`` that its columns come from."""
        return self.columns_of(name)

    def weight_files(self) -> dict[str, str]:
        """Its settings that name a file or folder of weights, by key."""
        return {}

    def find_weights(self, find: Callable[[str], Path]) -> dict[str, Path]:
        """Where those files are, by key.

        Args:
          find: the full path of a file that the workflow names (``LoadedWorkflow.find``).

        Raises:
          InputError: the settings name what is to be looked up by its name, and it is not there.
        """
        return {key: find(file) for key, file in self.weight_files().items()}

    def with_weights(self, paths: Mapping[str, Path]) -> Self:
        """The settings with these full paths (:meth:`find_weights`), and with what only the files say.

        Raises:
          InputError: a file that has to be read is missing or broken.
        """
        return self.model_copy(update={key: str(path) for key, path in paths.items()})

    def for_transform(self) -> FeatureSettings:
        """The settings as far as Transform's result depends on them."""
        return self

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        for column in self.columns_of(place.removeprefix("features.")):
            yield from self._column(column, workflow, place)

    def _column(self, column: str, workflow: Workflow, place: str) -> Iterator[Problem]:
        """What is wrong with one of its columns."""
        key = f"{place}.column" if self.column else place
        fields = ProductColumns().holding(self.reads)
        if (first := workflow.attribute_readers.get(column)) is not None:
            yield from self._attribute(column, workflow, key, first)
        elif column not in fields:
            readers = workflow.attribute_readers.items()
            free = [name for name, by in readers if by is None or workflow.features[by].reads == self.reads]
            expected = (
                f"an attribute of the feed, or a field of the product schema that a {self.kind} feature reads: "
                f"{', '.join((*fields, *free)) or 'there is none'}"
            )
            yield contradiction(key, column, expected)
        elif not any(source.has(column) for source in workflow.sources):
            yield contradiction(key, column, f"a column of the feed: {workflow.field_key(column)} is null")

    def _attribute(self, column: str, workflow: Workflow, key: str, first: str) -> Iterator[Problem]:
        """Where it wants another thing of an attribute than the first feature that reads it."""
        reader = workflow.features[first]
        if reader.reads != self.reads:
            expected = (
                f"another attribute: features.{first} ({reader.kind}) reads {column} as a {reader.reads}, and a "
                f"{self.kind} feature reads a {self.reads}; a second attribute may have the same column"
            )
            yield contradiction(key, column, expected)
        elif reader.vector_length != self.vector_length:
            expected = f"dimension: {reader.vector_length}, as features.{first} has for the same attribute"
            yield contradiction(key.removesuffix(".column") + ".dimension", self.vector_length, expected)

    def transform(self, name: str, columns: Sequence[Any]) -> TransformStep:
        """Its step in Transform.

        Args:
          columns: the raw columns of :meth:`raw_columns`, sparse tensors; of text with at most one value a row.
        """
        raise NotImplementedError

    def learned(self, name: str, transform_output: Any, seed: int) -> Learned:
        """Reads what it needs from a finished Transform.

        Args:
          transform_output: a ``tft.TFTransformOutput``.

        Raises:
          InputError: a file of pretrained weights does not fit.
        """
        raise NotImplementedError

    def example_spec(self, name: str) -> dict[str, Any]:
        """How its transformed columns are parsed from an example."""
        raise NotImplementedError

    def to_inputs(self, name: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
        """Parsed or freshly transformed columns as the model takes them."""
        return {key: parsed[key] for key in self.example_spec(name)}

    def keras_inputs(self, name: str) -> dict[str, Any]:
        """Symbolic inputs of the model, by the names that :meth:`to_inputs` gives."""
        raise NotImplementedError

    def linear_map(self, name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        """Its share of a linear map from all features to ``layer.width`` numbers, (batch, width), without bias."""
        raise NotImplementedError

    def encoded(self, name: str, inputs: Mapping[str, Any], context: ModelContext) -> Any:
        """What it gives to the concatenated input of a deep model: (batch, any width)."""
        raise NotImplementedError

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        """Tensor or array, (batch,) or (batch, n): a number of at least 1 exactly where the product has a value."""
        raise NotImplementedError

    def name_vectors(self, categories: Sequence[Sequence[str]], kept: EncodingSettings) -> np.ndarray:
        """Of a kind with a pretrained encoder: categories as products of their texts would come out.

        Args:
          categories: of each its texts, at least one and the path first (``Category.texts``).
          kept: where vectors of texts are kept.

        Returns:
          float32 (categories, width).
        """
        raise NotImplementedError

    def design_block(self, name: str, inputs: Mapping[str, np.ndarray], size: int) -> sparse.csr_matrix:
        """Its columns of the design matrix: float32 (batch, ``size``)."""
        raise NotImplementedError
