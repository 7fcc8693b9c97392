"""What Beam's workers do: read files, write shards of examples, and emit one small row per example."""

from __future__ import annotations

import gzip
import io
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.io import fileio

from modules.errors import InputError
from modules.feeds.files import FeedFile, format_of
from modules.feeds.ids import LabelIds
from modules.feeds.index import IndexWriter, examine, leaks
from modules.feeds.joining import Joiner, LabelTable, Signature
from modules.feeds.plan import ExampleSettings, surveyed
from modules.feeds.products import numbered_products, with_pictures, with_vectors
from modules.feeds.quarantine import BadRecord, Tally, tally_to_json
from modules.feeds.readers import Record, read_records
from modules.feeds.splitting import Splitter
from modules.feeds.text_vectors import TextVectors
from modules.feeds.variants import VariantRows, Variants
from modules.images.loader import ImageLoader
from modules.rules import RuleSet
from modules.settings.feed import SPLITS, Split
from modules.taxonomy import Taxonomy

SHARD = 25_000
"""Examples per shard at most."""
_FLUSH = 1 << 22

Task = tuple[int, list[tuple[int, FeedFile, int, int]]]
"""(number, [(file's place in the order of files, file with the number of its feed, part, number of parts)])."""


def save_json(path: str, data: object) -> None:
    """Overwrites: a repeated bundle writes the same again."""
    with fileio.open(path, "wb") as stream:
        stream.write(json.dumps(data).encode())


def load_json(path: str) -> Any:
    """The inverse of :func:`save_json`."""
    with fileio.open(path, "rb") as stream:
        return json.loads(stream.read())


def writer_options() -> tf.io.TFRecordOptions:
    """Shards are gzipped TFRecords."""
    return tf.io.TFRecordOptions(compression_type="GZIP")


class ShardWriter:
    """Writes the examples of one task, a file per split and 25,000 examples."""

    def __init__(self, folder: str, task: int, limit: int = SHARD):
        self._prefix = os.path.join(folder, f"shard-{task}-{uuid.uuid4().hex}")
        self._limit = limit
        self._writers: dict[Split, tf.io.TFRecordWriter] = {}
        self._shards: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self._positions: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self.files: list[tuple[str, int, str]] = []
        """(split, number of the shard within task and split, path)."""

    def write(self, split: Split, example: bytes) -> tuple[int, int]:
        """Returns where the example went: (shard, position in it)."""
        if split not in self._writers or self._positions[split] == self._limit:
            self._open(split)
        self._writers[split].write(example)
        position = self._positions[split]
        self._positions[split] = position + 1
        return self._shards[split], position

    def _open(self, split: Split) -> None:
        if split in self._writers:
            self._writers[split].close()
            self._shards[split] += 1
            self._positions[split] = 0
        shard = self._shards[split]
        path = f"{self._prefix}-{split}-{shard}.gz"
        self._writers[split] = tf.io.TFRecordWriter(path, writer_options())
        self.files.append((split, shard, path))

    def close(self) -> None:
        """Nothing can be written afterwards."""
        for writer in self._writers.values():
            writer.close()


class Survey(beam.DoFn):
    """Task to what has to be known of all products before the first example: a file with its distinct true categories,
    and one with what its products share with their variants."""

    def __init__(self, settings_json: str, folder: str):
        self._settings_json = settings_json
        self._folder = folder

    def process(self, task: Task) -> Iterator[str]:
        """Emits the task's number."""
        number, pieces = task
        settings = ExampleSettings.model_validate_json(self._settings_json)
        truths: list[Counter[tuple[str, ...]]] = [Counter() for _ in settings.sources]
        problems: list[dict[str, Any]] = []
        rows = VariantRows()
        splitter = Splitter(settings.feed.split)
        with fileio.open(variants_path(self._folder, number), "wb") as stream:
            for _, (path, source), part, of in pieces:
                try:
                    own, wanted = settings.sources[source], settings.taxonomy.from_truth
                    for names, product in surveyed(path, own, wanted, part, of):
                        if names:
                            truths[source][names] += 1
                        if product is not None:
                            rows.add(product, splitter.key(product.text, product.id))
                            stream.write(rows.take(_FLUSH))
                except InputError as error:
                    problems += map(asdict, error.problems)
            stream.write(rows.take())
        counted = [sorted(tree.items()) for tree in truths]
        save_json(os.path.join(self._folder, f"truths-{number}"), {"truths": counted, "problems": problems})
        yield str(number)


def variants_path(folder: str, task: int | None = None) -> str:
    """The file with what the products of a task share; None: with the title groups that belong together."""
    return os.path.join(folder, "variants" if task is None else f"shared-{task}")


def load_shared(folder: str, task: int) -> bytes:
    """What the products of a task share, as the survey has left it."""
    with fileio.open(variants_path(folder, task), "rb") as stream:
        return stream.read()


def save_variants(folder: str, variants: Variants) -> None:
    """For :func:`load_variants` in other processes."""
    with fileio.open(variants_path(folder), "wb") as stream:
        stream.write(variants.to_bytes())


def load_variants(folder: str) -> Variants:
    """The title groups that belong together, if the feeds were surveyed."""
    path = variants_path(folder)
    if not fileio.exists(path):
        return Variants()
    with fileio.open(path, "rb") as stream:
        return Variants.from_bytes(stream.read())


class MakeExamples(beam.DoFn):
    """Task to shards, quarantine and a summary on disk; emits (partition, packed rows) of the index."""

    def __init__(
        self,
        settings_json: str,
        folder: str,
        feed_folder: str,
        partitions: int,
        taxonomy: str,
        rules: str | None,
        table: LabelTable,
    ):
        self._settings_json = settings_json
        self._folder = folder
        self._feed_folder = feed_folder
        self._partitions = partitions
        self._taxonomy = taxonomy
        self._rules = rules
        self._table = table

    def setup(self) -> None:
        """Builds what is the same for all tasks, the rule engine above all."""
        self._settings = settings = ExampleSettings.model_validate_json(self._settings_json)
        taxonomy = Taxonomy.from_json(self._taxonomy)
        rules = RuleSet.from_json(self._rules) if self._rules is not None else None
        self._sources = settings.sources
        self._splitter = Splitter(settings.feed.split, load_variants(self._folder))
        ids = LabelIds.of(self._sources)
        self._joiner = Joiner(settings.objectives, taxonomy, rules, self._table, settings.labels, ids)
        images = settings.feed.images
        self._images = ImageLoader(images, self._feed_folder) if images is not None else None
        self._vectors = TextVectors(settings.encodings, self._feed_folder, settings.encoding_cache)

    def teardown(self) -> None:
        """Ends the threads that fetch images."""
        if self._images is not None:
            self._images.close()

    def process(self, task: Task) -> Iterator[tuple[int, bytes]]:
        """Streams; memory does not grow with the files."""
        number, pieces = task
        feed = self._settings.feed
        tallies = [Tally(feed.quarantine.examples) for _ in self._sources]
        shards = ShardWriter(self._folder, number)
        index = IndexWriter(number, self._partitions, titles=feed.split.column is not None)
        signatures: dict[Signature, int] = {}
        problems: list[dict[str, Any]] = []
        quarantine = os.path.join(self._folder, f"quarantine-{number}-{uuid.uuid4().hex}.jsonl.gz")
        with fileio.open(quarantine, "wb") as stored, gzip.GzipFile(fileobj=stored, mode="wb", mtime=0) as bad_stream:
            for place, file, part, of in pieces:
                own, tally = self._sources[file.source], tallies[file.source]
                try:
                    kind = format_of(file.path, own)
                    records = read_records(file.path, kind, own, part, of, passed_over=tally.passed_over)
                    for bad in self._read(file, place, records, tally, shards, index, signatures):
                        if bad is None:
                            yield from index.take(_FLUSH)
                            continue
                        tally.add(bad)
                        bad_stream.write(bad.to_json())
                except InputError as error:
                    # Not raised here: Beam would make another exception of it.
                    problems += map(asdict, error.problems)
        shards.close()
        yield from index.take()
        summary = {
            "tallies": list(map(tally_to_json, tallies)),
            "shards": shards.files,
            "signatures": list(signatures),
            "quarantine": quarantine,
            "joined": self._joiner.take_joined(),
            "unknown": self._joiner.take_unknown(),
            "unknown_assigned": self._joiner.take_unknown_assigned(),
            "problems": problems,
        }
        save_json(os.path.join(self._folder, f"summary-{number}"), summary)

    def _read(
        self,
        file: FeedFile,
        place: int,
        records: Iterable[Record | BadRecord],
        tally: Tally,
        shards: ShardWriter,
        index: IndexWriter,
        signatures: dict[Signature, int],
    ) -> Iterator[BadRecord | None]:
        """Writes the examples of one file; yields its bad records, and None now and then."""
        splitter, example_of = self._splitter, self._joiner.example
        products = numbered_products(file, self._settings, records, tally)
        if self._settings.encodings:
            products = with_vectors(products, self._vectors)
        for numbered, picture in with_pictures(products, self._images):
            if not isinstance(numbered, tuple):
                yield numbered
                continue
            line, product = numbered
            key = splitter.key(product.text, product.id)
            deciding = splitter.variants_of(key)
            split = splitter.split_of(deciding or key, product.split)
            example, signature = example_of(product, split, file.path, line, picture, file.source)
            shard, position = shards.write(split, example)
            code = signatures.setdefault(signature, len(signatures))
            title = product.text.get("title", "")
            group = deciding[0] if deciding else 0
            index.add(product.id, title, place, line, code, SPLITS.index(split), shard, position, group)


class ExaminePartition(beam.DoFn):
    """(partition, chunks of the index) to a file with its duplicates and counts; emits the titles."""

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[bytes]:
        """One partition has to fit into memory."""
        number, chunks = element
        examined = examine(chunks)
        data = {"duplicates": examined.duplicates.tolist(), "first": examined.first.tolist(), "counts": examined.counts}
        save_json(os.path.join(self._folder, f"partition-{number}"), data)
        if examined.titles:
            yield examined.titles


class CountLeaks(beam.DoFn):
    """(partition, chunks of title and split pairs) to a file with the number of titles in several splits."""

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        """One partition has to fit into memory."""
        number, chunks = element
        save_json(os.path.join(self._folder, f"leaks-{number}"), leaks(chunks))


class RewriteShard(beam.DoFn):
    """(path, target, positions to leave out): copies a shard without its duplicates."""

    def process(self, element: tuple[str, str, list[int]]) -> None:
        """Streams; the records are copied with their checksums, as they are."""
        path, target, left_out = element
        drop = set(left_out)
        with (
            fileio.open(path, "rb") as stored,
            io.BufferedReader(gzip.GzipFile(fileobj=stored), 1 << 20) as source,
            fileio.open(target, "wb") as new,
            io.BufferedWriter(gzip.GzipFile(fileobj=new, mode="wb", compresslevel=6, mtime=0), 1 << 20) as sink,
        ):
            position = 0
            # A record is its length (8 bytes), a checksum of that (4), the data, a checksum of the data (4).
            while header := source.read(12):
                record = source.read(int.from_bytes(header[:8], "little") + 4)
                if position not in drop:
                    sink.write(header)
                    sink.write(record)
                position += 1
