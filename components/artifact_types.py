"""The artifact types that TFX does not have.

A type's name is ``<module>.<Class>`` with one dot, importable under that name: Kubeflow takes nothing else. The package
``components`` therefore exports them.
"""

from __future__ import annotations

from tfx.types.artifact import Artifact

from components.record import RECORD_TYPE


class Quarantine(Artifact):
    """A folder of ``quarantine-*.jsonl.gz``: records of the feeds that could not be used, each with its reason."""

    TYPE_NAME = "components.Quarantine"


class ProductTaxonomy(Artifact):
    """A folder with the taxonomy as a run used it (``modules.examples.TAXONOMY_FILE``)."""

    TYPE_NAME = "components.ProductTaxonomy"


class Predictions(Artifact):
    """A folder of ``Split-<name>/part-*.parquet``: one row per product (``modules.predictions.predict``); beside
    them the model's taxonomy (``modules.examples.TAXONOMY_FILE``), and where an objective asks for it what is accepted
    (``modules.predictions.acceptance.ACCEPTANCE_FILE``). Custom properties: ``model`` (URI), ``products``."""

    TYPE_NAME = "components.Predictions"


class Record(Artifact):
    """What ML Metadata keeps of a step for queries alone, so that the pipeline root can be deleted; an empty folder.

    No step takes it as an input: Kubeflow hands a step the properties of its inputs as one command line argument, which
    Linux limits to 131,071 bytes. Whatever grows with categories, picks or partitions stands here, packed
    (``components.record``), and in the files of the output beside it, which steps read.
    """

    TYPE_NAME = RECORD_TYPE


class LabellingBatch(Artifact):
    """A folder with the questions that people are asked next, and the stop set (``modules.sampling.write``).

    Custom properties: ``model`` and ``predictions`` (URIs), ``parameters`` (JSON), and ``<objective>/<fact>``. Its
    record has ``picks`` (why each product was asked for, ``components.active_sampler.picks``) and
    ``stop_set/<objective>``, the run's predictions of a fixed sample (``modules.sampling.stopping``).
    """

    TYPE_NAME = "components.LabellingBatch"


class LabelReview(Artifact):
    """A folder with suspected label errors (``modules.label_review.queue``).

    Custom properties: ``model`` (URI) and per reason the number of products.
    """

    TYPE_NAME = "components.LabelReview"


class CategoryMetrics(Artifact):
    """A folder with a run's figures per category (``components.class_metrics.files``).

    Custom properties are the overall figures alone, ``<objective>/<figure>`` (double). Its record has ``figures``, all
    categories' (``components.class_metrics.properties``): ML Metadata holds them without any file.
    """

    TYPE_NAME = "components.CategoryMetrics"


class SimilarityIndex(Artifact):
    """A folder per index (``modules.similarity.scann_index``), ``neighbours/<index>.parquet``
    (``modules.similarity.neighbours``), and the taxonomy (``modules.examples.TAXONOMY_FILE``).

    Custom properties: ``model``, ``predictions`` (URIs), ``model_fingerprint``, ``indexes`` (JSON list of names),
    ``blessed`` (1: every recall is above its threshold) and ``<index>/<figure>``. Its record has ``quality/<index>``:
    recall, latency and products of the whole and of each partition, and why the index is not blessed.
    """

    TYPE_NAME = "components.SimilarityIndex"


class PushedIndex(Artifact):
    """Whether a SimilarityIndex was handed to the servers; an empty folder.

    Custom properties: ``pushed`` (0 or 1), ``reason`` (why not), ``pushed_destination`` and ``index`` (URIs).
    """

    TYPE_NAME = "components.PushedIndex"
