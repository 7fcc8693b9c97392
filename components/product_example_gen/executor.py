"""Runs the Beam pipeline of ProductExampleGen and puts its outcome in order."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components.product_example_gen import outcome, tasks
from components.workers import workers_of
from modules import examples
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.feeds.files import FeedFile, parts, unsplittable
from modules.feeds.index import by_title
from modules.feeds.joining import LabelTable, label_table
from modules.feeds.opening import size_of
from modules.feeds.plan import (
    ExampleSettings,
    find_dimensions,
    load_assignments,
    load_label_files,
    load_rule_set,
    load_taxonomy,
)
from modules.feeds.variants import EVIDENCE, Variants, find_variants
from modules.rules import RuleSet
from modules.settings.feed import SPLITS
from modules.taxonomy import Taxonomy
from modules.taxonomy.merging import MergedTrees, merge_trees

_log = logging.getLogger(__name__)
_BYTES_PER_PARTITION = 1 << 28


class ProductExampleGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Feeds, labels and rules to examples; see the README for how."""

    def Do(
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Writes the three outputs.

        Raises:
          InputError: a file that cannot be read, unknown categories, too many bad records, or no product at all.
        """
        folder = exec_properties["folder"]
        settings = ExampleSettings.model_validate_json(exec_properties["settings_json"])
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        _check_cache(settings)
        work = os.path.join(artifact.uri, "_building")
        fileio.makedirs(work)
        try:
            files = settings.feed_files(folder)
            self._tasks = _tasks(files, workers_of(self._beam_pipeline_args), settings)
            variants = self._survey(settings, work)
            trees = merge_trees(self._truths(settings, work))
            taxonomy = load_taxonomy(settings, folder, trees.paths)
            rules = load_rule_set(settings, folder, taxonomy)
            labels = load_label_files(settings, folder, taxonomy)
            assignments = load_assignments(settings, folder, taxonomy)
            table = label_table(labels, settings.objectives, taxonomy, settings.labels, assignments)
            settings = settings.model_copy(update={"dimensions": find_dimensions(settings, files)})
            partitions = max(len(self._tasks), sum(size_of(file.path) for file in files) // _BYTES_PER_PARTITION)
            self._make_examples(settings, folder, work, partitions, taxonomy, rules, table)
            result = outcome.collect(work, len(self._tasks), partitions, files, settings, taxonomy)
            result.counts.rules = len(rules) if rules is not None else 0
            result.counts.ignored_variants.update(variants.ignored)
            for name, entries in table.items():
                result.counts.add_unmatched(name, entries.keys() - result.joined.get(name, set()))
            result.counts.model_labels.update(labels.modelled)
            quarantine = artifact_utils.get_single_instance(output_dict["quarantine"])
            artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
            self._finish(result, artifact, quarantine.uri)
        finally:
            fileio.rmtree(work)
        _describe(artifact, result.counts)
        for reason, count in result.counts.quarantined.items():
            quarantine.set_int_custom_property(reason, count)
        for sentence in trees.sentences():
            _log.info("%s", sentence)
        self._write_taxonomy(taxonomy, trees, artifact_utils.get_single_instance(output_dict["taxonomy"]))

    def _survey(self, settings: ExampleSettings, work: str) -> Variants:
        """A first pass over the feeds, for what examples need to know of each other; leaves it in ``work``."""
        variants = Variants()
        told = any(getattr(source.fields, name) for source in settings.sources for name in EVIDENCE)
        # A job that finds nothing would cost minutes on a cluster.
        if told or settings.taxonomy.from_truth:
            with self._make_beam_pipeline() as pipeline:
                survey = tasks.Survey(settings.model_dump_json(), work)
                _ = (
                    pipeline
                    | "Tasks" >> beam.Create(self._tasks)
                    | "Spread" >> beam.Reshuffle()
                    | "Survey" >> beam.ParDo(survey)
                )
            variants = find_variants(tasks.load_shared(work, number) for number, _pieces in self._tasks)
        tasks.save_variants(work, variants)
        return variants

    def _truths(self, settings: ExampleSettings, work: str) -> list[Counter[tuple[str, ...]]]:
        """Per feed its distinct true categories and their records, if the taxonomy is to be made of them."""
        if not settings.taxonomy.from_truth:
            return []
        truths: list[Counter[tuple[str, ...]]] = [Counter() for _ in settings.sources]
        problems = []
        for number, _pieces in self._tasks:
            data = tasks.load_json(os.path.join(work, f"truths-{number}"))
            for tree, paths in zip(truths, data["truths"], strict=True):
                tree.update({tuple(path): count for path, count in paths})
            problems += [Problem(**problem) for problem in data["problems"]]
        if not problems and not any(truths):
            columns = [source.fields.truth for source in settings.sources if source.fields.truth]
            key = "feeds" if settings.feeds else "feed.fields.truth"
            problems.append(Problem("", "a column with true categories", key=key, value=", ".join(columns)))
        if problems:
            raise InputError(problems)
        return truths

    def _make_examples(
        self,
        settings: ExampleSettings,
        folder: str,
        work: str,
        partitions: int,
        taxonomy: Taxonomy,
        rules: RuleSet | None,
        table: LabelTable,
    ) -> None:
        """Products stay in the worker that read them; only the index's packed rows travel."""
        rules_json = rules.to_json() if rules is not None else None
        maker = tasks.MakeExamples(
            settings.model_dump_json(), work, folder, partitions, taxonomy.to_json(), rules_json, table
        )
        with self._make_beam_pipeline() as pipeline:
            titles = (
                pipeline
                | "Tasks" >> beam.Create(self._tasks)
                | "Spread" >> beam.Reshuffle()
                | "MakeExamples" >> beam.ParDo(maker).with_output_types(tuple[int, bytes])
                | "ById" >> beam.GroupByKey()
                | "Duplicates" >> beam.ParDo(tasks.ExaminePartition(work)).with_output_types(bytes)
            )
            if settings.feed.split.column is not None:
                _ = (
                    titles
                    | "Titles" >> beam.FlatMap(by_title, partitions).with_output_types(tuple[int, bytes])
                    | "ByTitle" >> beam.GroupByKey()
                    | "Leaks" >> beam.ParDo(tasks.CountLeaks(work))
                )

    def _finish(self, result: outcome.Outcome, artifact: Any, quarantine_uri: str) -> None:
        """Gives the shards their names, without the duplicates, and writes the quarantine."""
        rewrites = []
        for split in SPLITS:
            folder = artifact_utils.get_split_uri([artifact], split)
            shards = result.shards[split]
            fileio.makedirs(folder)
            for number, (path, left_out) in enumerate(shards):
                target = os.path.join(folder, f"data_tfrecord-{number:05d}-of-{len(shards):05d}.gz")
                if left_out:
                    rewrites.append((path, target, left_out))
                else:
                    fileio.rename(path, target)
        if rewrites:
            with self._make_beam_pipeline() as pipeline:
                copy = beam.ParDo(tasks.RewriteShard())
                _ = pipeline | beam.Create(rewrites) | beam.Reshuffle() | copy
        outcome.write_quarantine(result, quarantine_uri)

    def _write_taxonomy(self, taxonomy: Taxonomy, trees: MergedTrees, artifact: Any) -> None:
        local = os.path.join(self._get_tmp_dir(), examples.TAXONOMY_FILE)
        taxonomy.write(local)
        fileio.copy(local, os.path.join(artifact.uri, examples.TAXONOMY_FILE), overwrite=True)
        artifact.set_int_custom_property("categories", len(taxonomy))
        artifact.set_int_custom_property("exclusive_categories", len(taxonomy.exclusive))
        if trees.shared:
            artifact.set_int_custom_property("shared_categories", trees.shared)
            artifact.set_int_custom_property("merged_spellings", len(trees.spellings))
        artifact.set_string_custom_property("fingerprint", taxonomy.fingerprint())


def _check_cache(settings: ExampleSettings) -> None:
    images = settings.feed.images
    if images is None or images.cache is None:
        return
    try:
        os.makedirs(images.cache, exist_ok=True)
    except OSError as error:
        expected = f"a folder that can be made and written ({error.strerror or error})"
        raise InputError(Problem("", expected, key="feed.images.cache", value=images.cache)) from error


def _describe(artifact: Any, counts: examples.Counts) -> None:
    examples_utils.set_payload_format(artifact, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(artifact, "tfrecords_gzip")
    for name, value in counts.to_properties().items():
        if isinstance(value, str):
            artifact.set_string_custom_property(name, value)
        else:
            artifact.set_int_custom_property(name, value)
    shown = ", ".join(f"{split} {counts.products[split]:,}" for split in SPLITS)
    bad = counts.quarantined.total()
    read = counts.total + bad
    _log.info(
        "%s = %s (%s) + %s in quarantine", counted(read, "record"), counted(counts.total, "product"), shown, f"{bad:,}"
    )
    if counts.passed_over:
        words = (f"{word.replace('_', ' ')} {count:,}" for word, count in counts.passed_over.most_common())
        _log.info("lines that are no records: %s", ", ".join(words))
    for retailer in counts.retailers:
        own = counts.quarantined_of(retailer).total()
        products = counted(counts.by_retailer[retailer, examples.PRODUCTS], "product")
        _log.info("%s: %s, %s in quarantine", retailer, products, own)
    if counts.images:
        _log.info("images: %s", ", ".join(f"{reason} {count:,}" for reason, count in counts.images.most_common()))
    for name, count in counts.untold.items():
        _log.warning("%s a %s that cannot be told", counted(count, "product has", "products have"), name)
    if counts.leaked_titles:
        _log.warning(
            "%s titles (variants count as one) stand in more than one of the feed's splits", counts.leaked_titles
        )
    for name, count in counts.ignored_variants.items():
        _log.info("%s values of %s stand at too different products to make variants of them", f"{count:,}", name)


def _tasks(files: list[FeedFile], workers: int, settings: ExampleSettings) -> list[tasks.Task]:
    place = {file.path: i for i, file in enumerate(files)}
    divided = parts(list(place), workers, unsplittable(files, settings.sources))
    return [
        (number, [(place[path], files[place[path]], part, of) for path, part, of in pieces])
        for number, pieces in enumerate(divided)
    ]
