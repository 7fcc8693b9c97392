"""IndexPusher: a blessed index and its blessed model, copied to where servers look."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import PushedIndex, SimilarityIndex
from components.index_pusher.executor import IndexPusherExecutor


class IndexPusherSpec(ComponentSpec):
    """What IndexPusher takes and gives."""

    PARAMETERS = {"destination": ExecutionParameter(type=str)}
    INPUTS = {
        "similarity_index": ChannelParameter(type=SimilarityIndex),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"pushed_index": ChannelParameter(type=PushedIndex)}


class IndexPusher(base_component.BaseComponent):
    """Copies the index under a number higher than all before, if it and its model are blessed.

    Args:
      similarity_index: of ScannIndex. model: whose embeddings it holds. blessing: of that model.
      destination: folder of the numbered versions.
    """

    SPEC_CLASS = IndexPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(IndexPusherExecutor)

    def __init__(
        self,
        similarity_index: types.BaseChannel,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        destination: str,
    ):
        super().__init__(
            IndexPusherSpec(
                similarity_index=similarity_index,
                model=model,
                blessing=blessing,
                destination=destination,
                pushed_index=types.Channel(type=PushedIndex),
            )
        )
