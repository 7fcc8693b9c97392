"""Beam spreads the example files; each file is predicted in one batched loop (modules.predictions)."""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.workers import workers_of
from modules.examples import SPLIT_FOLDER, TAXONOMY_FILE
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

_TEST = f"{SPLIT_FOLDER}test"


class PredictorExecutor(base_beam_executor.BaseBeamExecutor):
    """Writes ``Split-<name>/part-<i>.parquet`` beside each other, one per example file, and the model's taxonomy."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        from modules.predictions.acceptance import write_acceptance
        from modules.predictions.answering import guessed_classes, taxonomy_of, untaught_objectives
        from modules.predictions.audited import fitted_acceptance

        examples = artifact_utils.get_single_instance(input_dict["examples"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        taxonomy = artifact_utils.get_single_instance(input_dict["taxonomy"])
        output = artifact_utils.get_single_instance(output_dict["predictions"])
        # Not as a typed property: Kubeflow's compiler knows those of TFX's own types only.
        output.set_string_custom_property("split_names", examples.split_names)
        workflow = Workflow.from_part(exec_properties["workflow"])
        work = []
        for split in artifact_utils.decode_split_names(examples.split_names):
            target = os.path.join(output.uri, f"{SPLIT_FOLDER}{split}")
            fileio.makedirs(target)
            sources = sorted(fileio.glob(os.path.join(artifact_utils.get_split_uri([examples], split), "*.gz")))
            for number, source in enumerate(sources):
                work.append((str(source), os.path.join(target, f"part-{number:05d}.parquet")))
        served, labels = path_utils.serving_model_path(model.uri), os.path.join(taxonomy.uri, TAXONOMY_FILE)
        own = taxonomy_of(served, labels)
        fileio.copy(own, os.path.join(output.uri, TAXONOMY_FILE), overwrite=True)
        arguments: dict[str, Any] = {
            "model": served,
            "taxonomy": own,
            "labels_taxonomy": labels,
            "workflow": workflow.model_dump_json(),
            "untaught": untaught_objectives(served),
            "guessed": guessed_classes(served),
        }
        test = [source for source, target in work if os.path.basename(os.path.dirname(target)) == _TEST]
        acceptance = fitted_acceptance(
            served, test, workflow, Taxonomy.load(own), Taxonomy.load(labels), arguments["untaught"],
            arguments["guessed"],
        )  # fmt: skip
        write_acceptance(output.uri, acceptance)
        arguments["accepted"] = {name: fitted.thresholds().tolist() for name, fitted in acceptance.items()}
        arguments["files"] = len(work)
        if len(work) == 1 or workers_of(self._beam_pipeline_args) == 1:
            # One process: no need to send the loop through Beam's serialisation.
            counts = [predict_shard(pair, **arguments) for pair in work]
        else:
            counts = []
            counts_file = os.path.join(self._get_tmp_dir(), "counts")
            with self._make_beam_pipeline() as pipeline:
                (
                    pipeline
                    | "Files" >> beam.Create(work)
                    | "Spread" >> beam.Reshuffle()
                    | "Predict" >> beam.Map(predict_shard, **arguments)
                    | "Text" >> beam.Map(str)
                    | "Counts" >> beam.io.WriteToText(counts_file, num_shards=1, shard_name_template="")
                )
            with fileio.open(counts_file) as lines:
                counts = [int(line) for line in lines]
        output.set_int_custom_property("products", sum(counts))
        output.set_string_custom_property("model", model.uri)


def predict_shard(pair: tuple[str, str], **arguments: Any) -> int:
    """:func:`modules.predictions.predict.predict_file`; module level, so that Beam ships a name and no closure."""
    from modules.predictions.predict import predict_file

    return predict_file(*pair, **arguments)
