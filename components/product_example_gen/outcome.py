"""What the workers left behind, put together: counts, shards, quarantine, and whether the run may go on."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import tensorflow as tf
from tfx.dsl.io import fileio

from components.product_example_gen.tasks import load_json, writer_options
from modules.errors import InputError, Problem
from modules.examples import PRODUCTS, Counts
from modules.feeds.files import FeedFile, format_of
from modules.feeds.index import ROW
from modules.feeds.joining import Signature, unknown_assigned_problems, unknown_problems
from modules.feeds.plan import ExampleSettings
from modules.feeds.products import raw_of
from modules.feeds.quarantine import BadRecord, Tally, incomplete, tally_from_json
from modules.feeds.readers import read_records
from modules.settings.feed import SPLITS, Split
from modules.taxonomy import Taxonomy

_COLUMN = {name: i for i, name in enumerate(ROW.names or ())}


@dataclass
class Outcome:
    """All that is left to do is to give the files their names.

    Attributes:
      shards: per split (path, positions of duplicates in it).
      quarantine: files of bad records that have at least one.
      joined: per objective, ids in the label files that are some product's.
      duplicates: per feed file, line to (file, line) of the first record with its id.
    """

    counts: Counts
    settings: ExampleSettings
    shards: dict[Split, list[tuple[str, list[int]]]]
    quarantine: list[str]
    duplicates: dict[FeedFile, dict[int, tuple[str, int]]] = field(default_factory=dict)
    joined: dict[str, set[str]] = field(default_factory=dict)


def collect(
    work: str, tasks: int, partitions: int, files: list[FeedFile], settings: ExampleSettings, taxonomy: Taxonomy
) -> Outcome:
    """Reads what the workers wrote into ``work``.

    Raises:
      InputError: a file could not be read, a true category is unknown, too many records are bad, or none is good.
    """
    summaries = [load_json(os.path.join(work, f"summary-{number}")) for number in range(tasks)]
    _stop_at_problems(summaries, settings, taxonomy)
    counts = Counts(files=len(files))
    rows: list[list[int]] = []
    first: list[list[int]] = []
    for partition in _existing(work, "partition", partitions):
        rows += partition["duplicates"]
        first += partition["first"]
        for task, code, number in partition["counts"]:
            _count(counts, Signature(*summaries[task]["signatures"][code]), number, settings)
    counts.leaked_titles = sum(_existing(work, "leaks", partitions))
    left_out: dict[tuple[int, int, int], list[int]] = {}
    duplicates: dict[FeedFile, dict[int, tuple[str, int]]] = {}
    for row, (file, line) in zip(rows, first, strict=True):
        place = row[_COLUMN["task"]], row[_COLUMN["split"]], row[_COLUMN["shard"]]
        left_out.setdefault(place, []).append(row[_COLUMN["position"]])
        duplicates.setdefault(files[row[_COLUMN["file"]]], {})[row[_COLUMN["line"]]] = files[file].path, line
    shards: dict[Split, list[tuple[str, list[int]]]] = {split: [] for split in SPLITS}
    for task, summary in enumerate(summaries):
        for split, shard, path in summary["shards"]:
            shards[split].append((path, left_out.get((task, SPLITS.index(split), shard), [])))
    for split in SPLITS:
        if not shards[split]:
            # Readers of the split's files expect at least one.
            path = os.path.join(work, f"empty-{split}.gz")
            tf.io.TFRecordWriter(path, writer_options()).close()
            shards[split].append((path, []))
    tallies = [Tally(settings.feed.quarantine.examples) for _ in settings.sources]
    for summary in summaries:
        for tally, stored in zip(tallies, summary["tallies"], strict=True):
            tally.merge(tally_from_json(stored, tally.limit))
    kept = [summary["quarantine"] for summary in summaries if any(stored["counts"] for stored in summary["tallies"])]
    result = Outcome(counts, settings, shards, kept, duplicates)
    for summary in summaries:
        for objective, ids in summary["joined"].items():
            result.joined.setdefault(objective, set()).update(ids)
    _check(tallies, result)
    for source, tally in zip(settings.sources, tallies, strict=True):
        counts.quarantined.update(tally.counts)
        counts.passed_over.update(tally.passed_over)
        if source.retailer is not None:
            counts.count_retailer(source.retailer, tally.read, tally.counts)
    return result


def _stop_at_problems(summaries: list[Any], settings: ExampleSettings, taxonomy: Taxonomy) -> None:
    """Raises InputError with the problems of the first sort that there is: unreadable files, unknown categories."""
    problems = [Problem(**problem) for summary in summaries for problem in summary["problems"]]
    if problems:
        raise InputError(problems)
    unknown = [(tuple(names), *rest) for summary in summaries for names, *rest in summary["unknown"]]
    if unknown:
        columns = dict.fromkeys(source.fields.truth for source in settings.sources if source.fields.truth)
        raise InputError(unknown_problems(unknown, taxonomy, ", ".join(columns)))
    unknown_assigned = [tuple(row) for summary in summaries for row in summary["unknown_assigned"]]
    if unknown_assigned:
        raise InputError(unknown_assigned_problems(unknown_assigned, taxonomy))


def _existing(work: str, name: str, number: int) -> Iterator[Any]:
    """What was saved as ``name-0`` to ``name-<number - 1>``; a partition that nothing fell into has no file."""
    for i in range(number):
        path = os.path.join(work, f"{name}-{i}")
        if fileio.exists(path):
            yield load_json(path)


def _count(counts: Counts, signature: Signature, number: int, settings: ExampleSettings) -> None:
    counts.products[signature.split] += number
    retailer = settings.sources[signature.source].retailer
    if retailer is not None:
        counts.by_retailer[retailer, PRODUCTS] += number
    counts.rule_products += number * signature.rules
    if signature.image:
        counts.images[signature.image] += number
    counts.untold.update(dict.fromkeys(signature.untold, number))
    for objective, source in signature.labels:
        counts.labels[objective, source] += number


def _check(tallies: list[Tally], result: Outcome) -> None:
    """Each feed for itself: a broken small one would not show among the records of a large one."""
    problems: list[Problem] = []
    for number, (source, tally) in enumerate(zip(result.settings.sources, tallies, strict=True)):
        own = {file: lines for file, lines in result.duplicates.items() if file.source == number}
        if own:
            tally.counts["duplicate_id"] += sum(map(len, own.values()))
            tally.examples["duplicate_id"] = list(islice(duplicate_records(result, own), tally.limit))
        problems += tally.problems(source.quarantine.max_share, source.retailer)
        good = tally.read - tally.counts.total()
        if not good and not problems:
            whose = source.retailer or "the feed"
            problems.append(Problem(", ".join(source.files), f"at least one product; {whose} has none"))
    read, bad = sum(tally.read for tally in tallies), sum(tally.counts.total() for tally in tallies)
    problems += incomplete(read, result.counts.total, bad)
    if problems:
        raise InputError(problems)


def duplicate_records(result: Outcome, duplicates: Mapping[FeedFile, Mapping[int, Any]]) -> Iterator[BadRecord]:
    """Reads the duplicates again, as nothing else of them was kept."""
    for file in sorted(duplicates):
        wanted = dict(duplicates[file])
        settings = result.settings.sources[file.source]
        for record in read_records(file.path, format_of(file.path, settings), settings):
            origin = wanted.pop(record.line, None)
            if origin is not None and not isinstance(record, BadRecord):
                detail = f"{origin[0]}:{origin[1]} has this id already"
                yield BadRecord(file.path, record.line, "duplicate_id", detail, raw_of(record))
            if not wanted:
                break


def write_quarantine(result: Outcome, folder: str) -> None:
    """Writes ``quarantine-*.jsonl.gz``, at least one, if only an empty one."""
    fileio.makedirs(folder)
    with_duplicates = bool(result.duplicates) or not result.quarantine
    number = len(result.quarantine) + with_duplicates
    names = [os.path.join(folder, f"quarantine-{i:05d}-of-{number:05d}.jsonl.gz") for i in range(number)]
    for path, name in zip(result.quarantine, names, strict=False):
        fileio.rename(path, name)
    if with_duplicates:
        with fileio.open(names[-1], "wb") as stored, gzip.GzipFile(fileobj=stored, mode="wb", mtime=0) as stream:
            for bad in duplicate_records(result, result.duplicates):
                stream.write(bad.to_json())
