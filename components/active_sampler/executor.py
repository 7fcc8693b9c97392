"""Picks a batch per objective; what it stands on goes into its files and into ML Metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.active_sampler.driver import label_files, label_ids
from components.active_sampler.picks import PICKS, pack_picks
from components.properties import set_property
from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from modules.label_review.queue import contradicted_rules, disagreements, label_errors, write_review
from modules.labels import carry_over, read_labels
from modules.objectives import kinds_of
from modules.predictions.read import PredictionFiles
from modules.query_strategies import MissingInput
from modules.sampling.asked import read_asked
from modules.sampling.batch import next_batch
from modules.sampling.stopping import expected_error, pack_stop_set, stop_set
from modules.sampling.table import read_table
from modules.sampling.write import write_batches
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy


class ActiveSamplerExecutor(base_executor.BaseExecutor):
    """Writes the batch and the review queue, their facts as custom properties, and the picks onto the record."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        predictions = artifact_utils.get_single_instance(input_dict["predictions"])
        output = artifact_utils.get_single_instance(output_dict["labelling_batch"])
        record = artifact_utils.get_single_instance(output_dict["batch_record"])
        workflow = Workflow.from_part(exec_properties["workflow"])
        settings = workflow.sampling
        assert settings is not None
        folder = artifact_utils.get_single_uri(input_dict["taxonomy"])
        taxonomy = Taxonomy.load(os.path.join(folder, TAXONOMY_FILE))
        files = PredictionFiles(predictions.uri)
        kinds = kinds_of(workflow.objectives)
        labels, queue = label_files(exec_properties["labels"])
        product_id = label_ids(exec_properties["labels"]).among(files.ids())
        asked = read_asked(labels, queue, taxonomy, kinds, product_id)
        log = carry_over(read_labels(labels, taxonomy, kinds), product_id)
        suspicious: list[dict[str, Any]] = []
        members = workflow.committee.answers if workflow.committee else 0
        batches = []
        stop_sets = {}
        for name in asked_about(workflow):
            objective = workflow.objectives[name]
            table = read_table(files, name, members)
            try:
                batch = next_batch(
                    name, objective.single_label, table, asked[name],
                    objective.classes(taxonomy), taxonomy, settings, workflow.seed, partial(_all, input_dict, name),
                )  # fmt: skip
            except MissingInput as error:
                raise InputError(Problem("", str(error), key="sampling.strategy")) from None
            batches.append(batch)
            for key, value in batch.facts.items():
                set_property(output, f"{name}/{key}", value)
            if objective.single_label:
                set_property(output, f"{name}/expected_error", expected_error(table))
                stop_sets[name] = stop_set(table, objective.classes(taxonomy))
                if settings.review:
                    suspicious += label_errors(name, table, log, objective, taxonomy, settings.review, workflow.seed)
        facts = {
            "model": predictions.get_string_custom_property("model"),
            "predictions": predictions.uri,
            "parameters": json.loads(settings.model_dump_json()),
            "fingerprint": exec_properties["fingerprint"],
        }
        write_batches(output.uri, batches, facts, stop_sets)
        set_property(record, PICKS, pack_picks(pick for batch in batches for pick in batch.picks))
        for name, predicted in stop_sets.items():
            set_property(record, f"stop_set/{name}", pack_stop_set(predicted))
        if settings.review:
            suspicious += contradicted_rules(files, workflow.objectives, log, taxonomy, settings.review)
            suspicious += disagreements(log, taxonomy, settings.review)
        review = artifact_utils.get_single_instance(output_dict["label_review"])
        for key, value in {"model": facts["model"], **write_review(review.uri, suspicious, facts)}.items():
            set_property(review, key, value)
        for key, value in facts.items():
            set_property(output, key, value if isinstance(value, str) else json.dumps(value))


def asked_about(workflow: Workflow) -> list[str]:
    """The objectives that people are asked about: those named, or the single-label ones."""
    assert workflow.sampling is not None
    return list(workflow.sampling.objectives) or workflow.single_label_objectives


def _all(input_dict: dict[str, Any], objective: str, ids: Sequence[str]) -> Any:
    """Probabilities of all classes, of products of the train split; most strategies do without, and load no model."""
    from modules.predictions.all_classes import all_probabilities

    model = artifact_utils.get_single_instance(input_dict["model"])
    examples = artifact_utils.get_single_instance(input_dict["examples"])
    sources = sorted(map(str, fileio.glob(os.path.join(artifact_utils.get_split_uri([examples], "train"), "*.gz"))))
    return all_probabilities(path_utils.serving_model_path(model.uri), sources, objective, ids)
