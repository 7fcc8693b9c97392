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
