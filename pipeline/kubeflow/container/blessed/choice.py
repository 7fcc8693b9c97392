"""The one place where it is decided which of the cluster's stores is asked."""

from __future__ import annotations

from pipeline.kubeflow.container.blessed.interface import BlessedModels


def blessed_models(*, metadata: str, artifacts_api: str | None) -> BlessedModels:
    """The store that the package names.

    Args:
      metadata: host:port of ML Metadata, or its grpcs:// address.
      artifacts_api: address of an API server with the artifacts API. It wins, as only a workflow for a cluster without
        ML Metadata names one.

    Raises:
      InputError: the store cannot be opened.
    """
    if artifacts_api:
        from pipeline.kubeflow.container.blessed.artifacts_api import ArtifactsApi

        return ArtifactsApi.at(artifacts_api)
    from components.class_metrics.store import open_store
    from pipeline.kubeflow.container.blessed.ml_metadata import MlMetadata

    return MlMetadata(open_store(metadata if "://" in metadata else f"grpc://{metadata}"))
