"""The artifact types that TFX does not have.

A type's name is ``<module>.<Class>`` with one dot, importable under that name: Kubeflow takes nothing else. The package
``components`` therefore exports them.
"""

from __future__ import annotations

from tfx.types.artifact import Artifact


class Quarantine(Artifact):
    """A folder of ``quarantine-*.jsonl.gz``: records of the feeds that could not be used, each with its reason."""

    TYPE_NAME = "components.Quarantine"


class ProductTaxonomy(Artifact):
    """A folder with the taxonomy as a run used it (``modules.examples.TAXONOMY_FILE``)."""

    TYPE_NAME = "components.ProductTaxonomy"


class Predictions(Artifact):
    """A folder of ``Split-<name>/part-*.parquet``: one row per product (``modules.predictions.predict``); beside
    them the model's taxonomy (``modules.examples.TAXONOMY_FILE``). Custom properties: ``model`` (URI), ``products``."""

    TYPE_NAME = "components.Predictions"


class LabellingBatch(Artifact):
    """A folder with the questions that people are asked next (``modules.sampling.write``).

    Custom properties: ``model`` and ``predictions`` (URIs), ``parameters`` (JSON), ``<objective>/<fact>``, and
    ``pick/<objective>/<product id>`` (JSON: rank, source, utility and its parts): ML Metadata alone tells why a product
    was asked for. ``stop_set/<objective>`` are the run's predictions of a fixed sample (``modules.sampling.stopping``).
    """

    TYPE_NAME = "components.LabellingBatch"


class LabelReview(Artifact):
    """A folder with suspected label errors (``modules.label_review.queue``).

    Custom properties: ``model`` (URI) and per reason the number of products.
    """

    TYPE_NAME = "components.LabelReview"


class CategoryMetrics(Artifact):
    """A run's metrics, overall and per category, as custom properties: ML Metadata holds them without any file.

    ``<objective>/<figure>`` (double), ``category/<objective>/<category id>`` (a small JSON object with the path and the
    category's figures), ``failed/<objective>`` (a JSON list of the categories below their bounds).
    """

    TYPE_NAME = "components.CategoryMetrics"


class SimilarityIndex(Artifact):
    """A folder per index (``modules.similarity.scann_index``), ``neighbours/<index>.parquet``
    (``modules.similarity.neighbours``), and the taxonomy (``modules.examples.TAXONOMY_FILE``).

    Custom properties: ``model``, ``predictions`` (URIs), ``model_fingerprint``, ``indexes`` (JSON list of names),
    ``blessed`` (1: every recall is above its threshold), ``<index>/<figure>``, ``<index>/reasons`` (JSON list) and
    ``<index>/partition/<category id>`` (JSON: recall, latency, products): ML Metadata holds what was measured.
    """

    TYPE_NAME = "components.SimilarityIndex"


class PushedIndex(Artifact):
    """Whether a SimilarityIndex was handed to the servers; an empty folder.

    Custom properties: ``pushed`` (0 or 1), ``reason`` (why not), ``pushed_destination`` and ``index`` (URIs).
    """

    TYPE_NAME = "components.PushedIndex"
