"""ProductTrainer: TFX's Trainer, which also takes the taxonomy that the examples were made with."""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.components.trainer import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TrainerSpec
from tfx.utils import json_utils

from components.artifact_types import ProductTaxonomy
from modules.examples import TAXONOMY_FILE


class ProductTrainerSpec(TrainerSpec):
    """TrainerSpec and ``taxonomy``."""

    INPUTS = {**TrainerSpec.INPUTS, "taxonomy": ChannelParameter(type=ProductTaxonomy)}


class ProductTrainerExecutor(tfx_executor.GenericExecutor):
    """Hands the taxonomy's file to ``run_fn`` as ``custom_config["taxonomy"]``."""

    def _GetFnArgs(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> Any:
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        taxonomy = artifact_utils.get_single_instance(input_dict["taxonomy"])
        fn_args.custom_config = {**(fn_args.custom_config or {}), "taxonomy": os.path.join(taxonomy.uri, TAXONOMY_FILE)}
        return fn_args


class ProductTrainer(base_component.BaseComponent):
    """Trains the workflow's model.

    Args:
      examples: transformed examples with the splits train and eval.
      transform_graph: of the same Transform.
      taxonomy: of the ProductExampleGen that made the examples.
      run_fn: dotted name of the function that trains.
      custom_config: JSON-serialisable settings for it.
      hyperparameters: a Tuner's best ones; None: the workflow's own settings.

    Outputs ``model`` and ``model_run`` (TensorBoard logs).
    """

    SPEC_CLASS = ProductTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ProductTrainerExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        taxonomy: types.BaseChannel,
        run_fn: str,
        custom_config: dict[str, Any],
        hyperparameters: types.BaseChannel | None = None,
    ):
        super().__init__(
            ProductTrainerSpec(
                examples=examples,
                transform_graph=transform_graph,
                taxonomy=taxonomy,
                hyperparameters=hyperparameters,
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
                run_fn=run_fn,
                custom_config=json_utils.dumps(custom_config),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
