"""ProductTuner: TFX's Tuner, which also takes the taxonomy that the examples were made with."""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.components.tuner import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import (
    BEST_HYPERPARAMETERS_KEY,
    CUSTOM_CONFIG_KEY,
    TUNER_RESULTS_KEY,
    TunerSpec,
)
from tfx.utils import json_utils

from components.artifact_types import ProductTaxonomy
from modules.examples import TAXONOMY_FILE


class ProductTunerSpec(TunerSpec):
    """TunerSpec and ``taxonomy``."""

    INPUTS = {**TunerSpec.INPUTS, "taxonomy": ChannelParameter(type=ProductTaxonomy)}


class ProductTunerExecutor(tfx_executor.Executor):
    """Hands the taxonomy's file to ``tuner_fn`` as ``custom_config["taxonomy"]``.

    Custom properties of both outputs: ``objective``, ``metric``, ``score`` (the best trial's), ``trials``.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        taxonomy = artifact_utils.get_single_instance(input_dict["taxonomy"])
        config = json_utils.loads(exec_properties[CUSTOM_CONFIG_KEY])
        config = {**config, "taxonomy": os.path.join(taxonomy.uri, TAXONOMY_FILE)}
        properties = {**exec_properties, CUSTOM_CONFIG_KEY: json_utils.dumps(config)}
        tuner = tfx_executor.search(input_dict, properties, self._get_tmp_dir(), print_tuning_summary=False)
        tfx_executor.write_best_hyperparameters(tuner, output_dict)
        for key in (BEST_HYPERPARAMETERS_KEY, TUNER_RESULTS_KEY):
            artifact = artifact_utils.get_single_instance(output_dict[key])
            artifact.set_string_custom_property("objective", tuner.objective_name)
            artifact.set_string_custom_property("metric", tuner.metric)
            artifact.set_float_custom_property("score", max(trial.score for trial in tuner.done()))
            artifact.set_int_custom_property("trials", len(tuner.done()))
        tuner.forget()


class ProductTuner(base_component.BaseComponent):
    """Searches settings of the workflow's model and training.

    Args:
      examples: transformed examples with the splits train and eval; the latter's labels compare the trials.
      transform_graph: of the same Transform.
      taxonomy: of the ProductExampleGen that made the examples.
      tuner_fn: dotted name of the function that makes the search.
      custom_config: JSON-serialisable settings for it.

    Outputs ``best_hyperparameters``, which a Trainer takes, and ``tuner_results`` (all trials), both as TFX's Tuner
    writes them.
    """

    SPEC_CLASS = ProductTunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ProductTunerExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        taxonomy: types.BaseChannel,
        tuner_fn: str,
        custom_config: dict[str, Any],
    ):
        super().__init__(
            ProductTunerSpec(
                examples=examples,
                transform_graph=transform_graph,
                taxonomy=taxonomy,
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
                tuner_fn=tuner_fn,
                custom_config=json_utils.dumps(custom_config),
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
                tuner_results=types.Channel(type=standard_artifacts.TunerResults),
            )
        )
