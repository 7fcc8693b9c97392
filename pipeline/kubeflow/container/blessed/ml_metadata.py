"""The last blessed model, in the cluster's ML Metadata: Kubeflow Pipelines 2.x."""

from __future__ import annotations

from typing import Any

from modules.errors import InputError, Problem
from pipeline.kubeflow.container.blessed.interface import BLESSING, MODEL


class MlMetadata:
    """Reads contexts and artifacts as Kubeflow's driver and launcher write them.

    Args:
      store: an ``ml_metadata.MetadataStore``.
    """

    def __init__(self, store: Any):
        self._store = store

    def last(self, run: str) -> str | None:
        """See :class:`~pipeline.kubeflow.container.blessed.interface.BlessedModels`."""
        store = self._store
        current = store.get_context_by_type_and_name("system.PipelineRun", run)
        if current is None:
            hint = "runners.kubeflow.metadata has to name the ML Metadata of the cluster that the run is in"
            raise InputError(Problem("", "a run that ML Metadata knows", key="run", value=run, hint=hint))
        namespace = _text(current, "namespace")
        blessed: list[tuple[int, int, str]] = []
        for pipeline in store.get_parent_contexts_by_context(current.id):
            for context in store.get_children_contexts_by_context(pipeline.id):
                if context.type == "system.PipelineRun" and _text(context, "namespace") == namespace:
                    for artifact in store.get_artifacts_by_context(context.id):
                        if (
                            artifact.type == BLESSING
                            and artifact.state == artifact.LIVE
                            and _number(artifact, "blessed")
                        ):
                            model = _text(artifact, "current_model")
                            blessed.append((artifact.create_time_since_epoch, artifact.id, model))
        for _, _, model in sorted(blessed, reverse=True):
            if any(
                artifact.type == MODEL and artifact.state == artifact.LIVE
                for artifact in store.get_artifacts_by_uri(model)
            ):
                return model
        return None


def _text(node: Any, name: str) -> str:
    return str(node.custom_properties[name].string_value) if name in node.custom_properties else ""


def _number(node: Any, name: str) -> float:
    if name not in node.custom_properties:
        return 0.0
    value = node.custom_properties[name]
    return float(value.double_value or value.int_value)
