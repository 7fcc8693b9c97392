"""One pass over a day's feed: reads all of it, then predicts what is new or has changed, then forgets what is gone.

The feed is read and checked as a whole before anything changes. What is to be predicted waits on the disk meanwhile,
as examples, so that memory does not grow with the feed.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modules import gone
from modules.drift.profile import COLUMN_COUNTS, ColumnCounts
from modules.errors import InputError, Problem, reason
from modules.examples import PRICE, RETAILER, SPLIT_FOLDER
from modules.feeds.encoding import example_of
from modules.feeds.files import FeedFile, format_of
from modules.feeds.mapping import Product
from modules.feeds.plan import ExampleSettings, find_dimensions
from modules.feeds.product_features import ProductFeatures
from modules.feeds.products import Numbered, numbered_products, with_pictures, with_vectors
from modules.feeds.quarantine import BadRecord, Tally
from modules.feeds.readers import read_records
from modules.feeds.text_vectors import TextVectors
from modules.images.loader import ImageLoader
from modules.images.outcome import MISSING, OK
from modules.objectives import kind_named
from modules.parquet import readable
from modules.paths import near
from modules.predictions.answering import guessed_classes, untaught_objectives
from modules.predictions.columns import ID, objective_column
from modules.predictions.daily.files import DailyFiles, shown_of
from modules.predictions.daily.model import DailyModel, digest_of
from modules.predictions.daily.state import DAILY, DailyState, Row
from modules.predictions.guesses import remove_guesses
from modules.predictions.read import PredictionFiles
from modules.predictions.table import TableWriter, as_written

if TYPE_CHECKING:
    import tensorflow as tf

SHARD = 8192
"""Products that are predicted together, and noted in one transaction."""
_LOOKED_UP = 1000


@dataclass
class DailyCounts:
    """What a pass has seen and done.

    Attributes:
      new, changed, same: products of the feed. by_new_model: those that have not changed, but the model has.
      gone: products that the feed has no longer. moved: changed ones that are now in other categories.
      quarantined: per reason, bad records.
      seconds: that encoding and predicting took.
    """

    new: int = 0
    changed: int = 0
    by_new_model: int = 0
    same: int = 0
    gone: int = 0
    moved: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def predicted(self) -> int:
        """Products that the model was asked about."""
        return self.new + self.changed + self.by_new_model

    @property
    def products(self) -> int:
        """Of the feed."""
        return self.predicted + self.same


def predict_daily(
    place: Path, settings: ExampleSettings, folder: str, model: DailyModel, run: str, *, many_gone: bool = False,
    then: Callable[[DailyState], object] | None = None,
) -> DailyCounts:  # fmt: skip
    """Brings the daily predictions to what the feed holds.

    Args:
      place: the folder of the daily predictions.
      settings: how a run reads the feeds. folder: that of the feeds.
      run: whose published model it is.
      many_gone: forget products even where most are gone.
      then: what is to be done with the new predictions before anybody else may use them.

    Raises:
      InputError: a file cannot be read, too many records are bad, no product is good, or more than half are gone:
        nothing has changed then; or somebody else uses the predictions.
    """
    with _room_for(place), DailyState(place) as state:
        reading = _Reading(state, settings, folder, model)
        try:
            reading.read()
        finally:
            reading.close()
        counts = reading.counts
        counts.gone = state.gone()
        refusal = (
            None if many_gone else gone.refused(counts.gone, state.products(), "the feed", "nothing was predicted")
        )
        if refusal is not None:
            raise refusal
        state.begin(run, model.key)
        reading.columns.write(place / COLUMN_COUNTS)
        started = time.monotonic()
        for shard in range(reading.shards):
            counts.moved += _predict(state, shard, reading.shards, model)
        counts.seconds = reading.encoding_seconds + time.monotonic() - started
        state.end(run, model.key)
        if state.dead() > state.products():
            _compact(state)
        if then is not None:
            then(state)
    return counts


@contextmanager
def _room_for(place: Path) -> Iterator[None]:
    """Raises an InputError in place of an operating system's error that says that the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(_no_room(place, error)) from None


def _no_room(place: Path, error: Exception) -> Problem:
    hint = "is there room on the disk? then repeat the command"
    return Problem(near(place), f"expected a folder that can be written: {reason(error)}", hint=hint)


class _Reading:
    """Reads the feeds: what is known stays, the rest becomes examples in the spool."""

    def __init__(self, state: DailyState, settings: ExampleSettings, folder: str, model: DailyModel):
        self._files = settings.feed_files(folder)
        dimensions = find_dimensions(settings, self._files)
        self._settings = settings.model_copy(update={"dimensions": dimensions})
        self._state, self._model, self.counts = state, model, DailyCounts()
        self._tallies = [Tally(settings.feed.quarantine.examples) for _ in settings.sources]
        self._vectors = TextVectors(settings.encodings, folder, settings.encoding_cache)
        self._images = ImageLoader(settings.feed.images, folder) if settings.feed.images is not None else None
        self._features = ProductFeatures()
        self.columns = ColumnCounts()
        self._writer: tf.io.TFRecordWriter | None = None
        self._waiting: list[tuple[str, bool]] = []
        self.shards = 0

    @property
    def encoding_seconds(self) -> float:
        """Seconds that pretrained encoders took."""
        return self._vectors.seconds

    def close(self) -> None:
        """Ends what reading has begun."""
        if self._images is not None:
            self._images.close()
        self._close_spool()

    def read(self) -> None:
        """Reads everything; raises as :func:`predict_daily` does where the feed cannot be used."""
        path = self._state.place / "quarantine.jsonl.gz"
        part = path.with_suffix(".part")
        problems: list[Problem] = []
        with gzip.open(part, "wb") as quarantine:
            for number, file in enumerate(self._files):
                tally = self._tallies[file.source]
                try:
                    for bad in self._read_file(number, file, tally):
                        tally.add(bad)
                        quarantine.write(bad.to_json())
                except InputError as error:
                    problems += error.problems
        os.replace(part, path)
        self._end_shard()
        for tally in self._tallies:
            self.counts.quarantined.update(tally.counts)
        if problems or (problems := self._problems()):
            raise InputError(problems)

    def _problems(self) -> list[Problem]:
        """Each feed for itself, as in a run."""
        problems = []
        for source, tally in zip(self._settings.sources, self._tallies, strict=True):
            own = tally.problems(source.quarantine.max_share, source.retailer)
            if not own and tally.read == tally.counts.total():
                whose = source.retailer or "the feed"
                own = [Problem(", ".join(source.files), f"at least one product; {whose} has none")]
            problems += own
        return problems

    def _read_file(self, number: int, file: FeedFile, tally: Tally) -> Iterator[BadRecord]:
        own = self._settings.sources[file.source]
        records = read_records(file.path, format_of(file.path, own), own, passed_over=tally.passed_over)
        numbered = self._unknown(number, file, numbered_products(file, self._settings, records, tally))
        if self._settings.encodings:
            numbered = with_vectors(numbered, self._vectors)
        for item, picture in with_pictures(numbered, self._images):
            if isinstance(item, BadRecord):
                yield item
            elif item is not None:
                product = item[1]
                # What could not be fetched today may be there tomorrow.
                is_final = picture is None or picture.reason in (OK, MISSING)
                self._spool(product.id, example_of(self._features.entries(product, picture)), is_final)

    def _unknown(self, number: int, file: FeedFile, numbered: Iterator[Numbered]) -> Iterator[Numbered]:
        """Bad records, among them those whose id an earlier one has, and the products that are to be predicted."""
        while batch := list(islice(numbered, _LOOKED_UP)):
            products = [item[1] for item in batch if isinstance(item, tuple)]
            ids = [product.id for product in products]
            seen, known, shown = self._state.places(ids), self._state.known(ids), iter(_shown(products))
            rows: list[Row] = []
            wanted: list[Numbered] = []
            for item in batch:
                if not isinstance(item, tuple):
                    wanted.append(item)
                    continue
                line, product = item
                own_shown = next(shown)
                if product.id in seen:
                    first, at = seen[product.id]
                    detail = f"{self._files[first].path}:{at} has this id already"
                    wanted.append(BadRecord(file.path, line, "duplicate_id", detail, product.id))
                    continue
                seen[product.id] = number, line
                digest = digest_of(product, self._model.columns)
                retailer = product.text.get(RETAILER, "")
                self.columns.add(retailer, (*product.text, *product.numbers, *product.vectors))
                rows.append(Row(product.id, number, line, digest, retailer, own_shown))
                before = known.get(product.id)
                is_same = before is not None and before.digest == digest
                has_model = before is not None and before.model == self._model.key
                self.counts.new += before is None
                self.counts.changed += before is not None and not is_same
                self.counts.by_new_model += is_same and not has_model
                self.counts.same += is_same and has_model
                if not (is_same and has_model):
                    wanted.append(item)
            self._state.see(rows)
            yield from wanted

    def _spool(self, product: str, example: bytes, is_final: bool) -> None:
        if self._writer is None:
            # Its import takes seconds, and a day without changes needs none of it.
            import tensorflow as tf

            options = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)
            self._writer = tf.io.TFRecordWriter(str(_spooled(self._state, self.shards)), options)
        with self._spooling():
            self._writer.write(example)
        self._waiting.append((product, is_final))
        if len(self._waiting) == SHARD:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._close_spool():
            self._state.spooled(self.shards, self._waiting)
            self._waiting = []
            self.shards += 1

    def _close_spool(self) -> bool:
        """Whether a file of the spool was open."""
        writer, self._writer = self._writer, None
        if writer is None:
            return False
        with self._spooling():
            writer.close()
        return True

    @contextmanager
    def _spooling(self) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as error:
            raise InputError(_no_room(self._state.place, error)) from None


def _shown(products: Sequence[Product]) -> list[str]:
    """What predictions show of each product; prices are told all at once, which takes a quarter of the time."""
    prices = as_written(np.array([product.numbers.get(PRICE, np.nan) for product in products], np.float32)).tolist()
    return [
        shown_of(product, price if PRICE in product.numbers else None)
        for product, price in zip(products, prices, strict=True)
    ]


def _spooled(state: DailyState, shard: int) -> Path:
    return state.spool / f"{shard:06d}.gz"


def _predict(state: DailyState, shard: int, shards: int, model: DailyModel) -> int:
    """Predicts a shard, and notes it; returns how many products have other categories than before."""
    folder = state.spool / f"predicted-{shard:06d}"
    made = folder / f"{SPLIT_FOLDER}{DAILY}" / "part.parquet"
    made.parent.mkdir(parents=True)
    from modules.predictions.predict import predict_file

    predict_file(
        str(_spooled(state, shard)), str(made), model=model.folder, taxonomy=model.taxonomy, workflow=model.settings,
        files=shards, untaught=untaught_objectives(model.folder), guessed=guessed_classes(model.folder),
        accepted=model.accepted,
    )  # fmt: skip
    remove_guesses(folder)
    files = PredictionFiles(folder)
    columns = [objective_column(name, kind_named(kind).membership_column) for name, kind in files.kinds.items()]
    categories = [_digest(row) for batch in files.scan(columns) for row in _rows(batch, columns)]
    number, path = state.new_part()
    _settle(made, path)
    _spooled(state, shard).unlink()
    return state.take(shard, number, model.key, categories)


def _digest(categories: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(orjson.dumps(categories), digest_size=8).digest()


def _rows(batch: pa.RecordBatch, columns: list[str]) -> Iterator[tuple[object, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _settle(made: Path, path: Path) -> None:
    """Gives a file its name when the disk has it: a transaction will name it."""
    with made.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(made, path)


def _compact(state: DailyState) -> None:
    """Copies the living rows into a new file; done as often as they are fewer than the dead ones."""
    files = DailyFiles(state.place, is_held=True)
    number, path = state.new_part()
    made = state.spool / "compacted.parquet"
    with TableWriter(str(made), files.schema) as writer:
        for batch in files.scan(files.schema.names):
            writer.add(batch)
    _settle(made, path)
    state.move(number, _ids(path))


def _ids(path: Path) -> Iterator[list[str]]:
    with readable(path), pq.ParquetFile(path) as opened:
        for batch in opened.iter_batches(batch_size=SHARD, columns=[ID]):
            yield batch.column(0).to_pylist()
