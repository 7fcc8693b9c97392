"""ProductValidator: anomalies stop the run with a list that can be read, unless the workflow says otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import SCHEMA_KEY, STATISTICS_KEY, ExampleValidatorSpec
from tfx.utils import io_utils

from modules.errors import InputError, Problem
from modules.examples import RETAILERS, retailer_of_slice


class ProductValidatorSpec(ExampleValidatorSpec):
    """ExampleValidatorSpec and ``stop_on_anomalies`` (0 or 1)."""

    PARAMETERS = {**ExampleValidatorSpec.PARAMETERS, "stop_on_anomalies": ExecutionParameter(type=int)}


class ProductValidatorExecutor(tfx_executor.Executor):
    """Writes the anomalies as TFX does, then says them as problems."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> Any:
        result = super().Do(input_dict, output_dict, exec_properties)
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        problems = []
        for split in artifact_utils.decode_split_names(anomalies.split_names):
            folder = artifact_utils.get_split_uri([anomalies], split)
            problems += _problems(os.path.join(folder, tfx_executor.DEFAULT_FILE_NAME), f"{split} products")
            for retailer, file in _validate_retailers(input_dict, split, folder):
                problems += _problems(file, f"{split} products of {retailer}")
        if problems and exec_properties["stop_on_anomalies"]:
            raise InputError(problems)
        return result


def _validate_retailers(input_dict: dict[str, Any], split: str, folder: str) -> Iterator[tuple[str, str]]:
    """Compares each retailer's statistics with the schema: an anomaly of a small one does not show among all.

    Yields:
      Retailer, and the file with its anomalies: a message of TFX's kind, as for all products.
    """
    # It can be imported after tfx.components only, which gives it what it misses in tfx_bsl.
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

    statistics = artifact_utils.get_single_instance(input_dict[STATISTICS_KEY])
    schema_folder = artifact_utils.get_single_uri(input_dict[SCHEMA_KEY])
    schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_folder))
    for dataset in stats_artifact_utils.load_statistics(statistics, split).proto().datasets:
        retailer = retailer_of_slice(dataset.name)
        if retailer is None:
            continue
        own = statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])
        file = os.path.join(folder, RETAILERS, f"{retailer}.pb")
        io_utils.write_bytes_file(file, tfdv.validate_statistics(own, schema).SerializeToString())
        yield retailer, file


def _problems(file: str, products: str) -> list[Problem]:
    content = io_utils.read_bytes_file(file)
    anomalies = anomalies_pb2.Anomalies.FromString(content)
    hint = "mend the feed, or the schema (validation.schema_file), or set validation.stop_on_anomalies: false"
    problems = [
        Problem(products, info.description, key=feature, hint=hint)
        for feature, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        problems.append(Problem(products, anomalies.dataset_anomaly_info.description, hint=hint))
    return problems


class ProductValidator(base_component.BaseComponent):
    """Compares the products' statistics with the curated schema.

    Args:
      statistics: of StatisticsGen. schema: of ImportSchemaGen.
      stop_on_anomalies: whether an anomaly ends the run (InputError with one problem per anomaly).
    """

    SPEC_CLASS = ProductValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ProductValidatorExecutor)

    def __init__(self, statistics: types.BaseChannel, schema: types.BaseChannel, stop_on_anomalies: bool = True):
        super().__init__(
            ProductValidatorSpec(
                statistics=statistics,
                schema=schema,
                exclude_splits="[]",
                stop_on_anomalies=int(stop_on_anomalies),
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )
