"""The last blessed model, in the cluster's ML Metadata.

The only place that reads it: Kubeflow is taking ML Metadata out after 2.17.
"""

from __future__ import annotations

from typing import Any

_BLESSING = "tfx.ModelBlessing"
_MODEL = "tfx.Model"


def last_blessed(store: Any, run: str) -> str | None:
    """Address of the newest model that an earlier run of the same pipeline, in the same namespace, blessed.

    Args:
      store: an ``ml_metadata.MetadataStore``. run: the id of the run that asks.

    Raises:
      LookupError: ML Metadata does not know the run.
    """
    current = store.get_context_by_type_and_name("system.PipelineRun", run)
    if current is None:
        raise LookupError(f"ML Metadata knows no run {run!r}")
    namespace = _text(current, "namespace")
    blessed: list[tuple[int, int, str]] = []
    for pipeline in store.get_parent_contexts_by_context(current.id):
        for context in store.get_children_contexts_by_context(pipeline.id):
            if context.type == "system.PipelineRun" and _text(context, "namespace") == namespace:
                for artifact in store.get_artifacts_by_context(context.id):
                    if artifact.type == _BLESSING and artifact.state == artifact.LIVE and _number(artifact, "blessed"):
                        model = _text(artifact, "current_model")
                        blessed.append((artifact.create_time_since_epoch, artifact.id, model))
    for _, _, model in sorted(blessed, reverse=True):
        if any(found.type == _MODEL and found.state == found.LIVE for found in store.get_artifacts_by_uri(model)):
            return model
    return None


def _text(node: Any, name: str) -> str:
    return str(node.custom_properties[name].string_value) if name in node.custom_properties else ""


def _number(node: Any, name: str) -> float:
    if name not in node.custom_properties:
        return 0.0
    value = node.custom_properties[name]
    return float(value.double_value or value.int_value)
