"""What a run reads: the settings that matter for it, and the files behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pydantic import Field

from modules.errors import InputError
from modules.examples import COLOR, ID, RETAILER, SIZE, TITLE, Holds, ProductColumns
from modules.features import encodings_of
from modules.feeds.files import FeedFile, find_feed_files, format_of, resolve
from modules.feeds.ids import LabelIds
from modules.feeds.joining import Assignments
from modules.feeds.mapping import Mapper, Product
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import columns_of, read_records
from modules.feeds.values import NotUsable, getter
from modules.feeds.variants import EVIDENCE
from modules.labels import carry_over, read_labels
from modules.labels import resolve as resolve_labels
from modules.labels.assignments import read_assignments
from modules.labels.model import ResolvedLabels
from modules.objectives import Objective, kinds_of
from modules.objectives.sources import MODEL
from modules.rules import RuleSet, load_rules
from modules.settings.base import Settings
from modules.settings.encodings import Encoding, EncodingSettings
from modules.settings.feed import FeedSettings, FieldSettings, RetailerFeed, sources_of
from modules.settings.workflow import LabelsSettings, RulesSettings, TaxonomySettings, Workflow
from modules.taxonomy import Taxonomy

_LOOK_AHEAD = 10_000
_SURVEYED = (ID, TITLE, SIZE, COLOR, RETAILER, "truth", *EVIDENCE)
"""Keys of ``feed.fields`` that decide about a product's title group and its variants."""


class ExampleSettings(Settings):
    """The part of a workflow that decides what the examples are.

    Everything else stays out, so that a change of, say, the learning rate leaves the examples in the cache.
    """

    feed: FeedSettings
    feeds: tuple[RetailerFeed, ...] = ()
    taxonomy: TaxonomySettings
    rules: RulesSettings
    labels: LabelsSettings
    objectives: dict[str, Objective]
    dimensions: dict[str, int] = Field(default_factory=dict)
    """Vector field to the number of values that the features expect."""
    attributes: dict[str, Holds] = Field(default_factory=dict)
    """Attribute to what it holds, as the features that read it say."""
    encodings: dict[str, Encoding] = Field(default_factory=dict)
    """Feature to what a pretrained encoder makes of the products for it; encoders' folders are full paths, or relative
    to the feed's folder."""
    snapshots: tuple[str | None, ...] = ()
    """Of each feed the file that its source's snapshot is; see :func:`modules.feeds.files.find_feed_files`."""
    encoding_cache: EncodingSettings | None = None
    """Where vectors of texts are kept; None, or no folder in it: nowhere."""

    @classmethod
    def of(cls, workflow: Workflow) -> ExampleSettings:
        """The part of ``workflow``; where the feed lies and how the demo is made stay out as well."""
        objectives: dict[str, Objective] = {
            name: objective.for_examples() for name, objective in workflow.objectives.items()
        }
        lengths = {
            column: feature.vector_length
            for name, feature in workflow.features.items()
            for column in feature.columns_of(name)
        }
        dimensions = {column: length for column, length in lengths.items() if length is not None}
        update: dict[str, Any] = {"folder": None, "folder_env": None, "demo": None, "images": workflow.images}
        columns = [column for objective in objectives.values() for column in objective.label_sources.columns]
        update["label_columns"] = tuple(dict.fromkeys([*workflow.feed.label_columns, *columns]))
        feed = workflow.feed.model_copy(update=update)
        return cls(
            feed=feed,
            feeds=workflow.feeds,
            taxonomy=workflow.taxonomy,
            rules=workflow.rules,
            # A run reads the store's snapshot, and ML Metadata has no use for a database's address.
            labels=workflow.labels.model_copy(update={"store": None}),
            objectives=objectives,
            dimensions=dimensions,
            attributes=dict(workflow.product_columns.attributes),
            encodings=encodings_of(workflow.features),
        )

    @property
    def product_columns(self) -> ProductColumns:
        """The columns that describe products."""
        return ProductColumns(self.attributes)

    def side_files(self, folder: str) -> list[str]:
        """The files beside the feed: taxonomy, rules, labels."""
        assignments = [file for objective in self.objectives.values() for file in objective.label_sources.files]
        names = [self.taxonomy.file, self.rules.file, *self.labels.files, *assignments]
        return [resolve(folder, name) for name in names if name]

    @property
    def sources(self) -> tuple[FeedSettings, ...]:
        """The complete settings of every feed."""
        return sources_of(self.feed, self.feeds)

    def feed_files(self, folder: str) -> list[FeedFile]:
        """The feeds' files in the order in which records count as earlier.

        Raises:
          InputError: a pattern matches nothing, or two feeds match the same file.
        """
        side = self.side_files(folder)
        return find_feed_files(self.sources, folder, side, listed=bool(self.feeds), snapshots=self.snapshots)


def load_taxonomy(settings: ExampleSettings, folder: str, truths: Iterable[tuple[str, ...]] = ()) -> Taxonomy:
    """The taxonomy of the file, or, with ``taxonomy.from_truth``, of the distinct true paths."""
    if settings.taxonomy.from_truth:
        return Taxonomy.from_paths(truths, exclusive="given")
    return Taxonomy.load(resolve(folder, settings.taxonomy.file or ""))


def load_rule_set(settings: ExampleSettings, folder: str, taxonomy: Taxonomy) -> RuleSet | None:
    """The rules, None if the workflow has none."""
    if settings.rules.file is None:
        return None
    return load_rules(resolve(folder, settings.rules.file), taxonomy, fields=settings.product_columns.texts)


def load_label_files(settings: ExampleSettings, folder: str, taxonomy: Taxonomy) -> ResolvedLabels:
    """What the annotators agree on, of all label files; under the products' ids, also where the files are older."""
    files = [resolve(folder, file) for file in settings.labels.files]
    taught = [name for name, objective in settings.objectives.items() if MODEL in objective.label_sources.sources]
    log = read_labels(files, taxonomy, kinds_of(settings.objectives))
    return resolve_labels(carry_over(log, LabelIds.of(settings.sources).product_id), include_model=taught)


def load_assignments(settings: ExampleSettings, folder: str, taxonomy: Taxonomy) -> dict[str, Assignments]:
    """File of category assignments to product to the ids of its categories."""
    full = LabelIds.of(settings.sources).product_id
    names = {name for objective in settings.objectives.values() for name in objective.label_sources.files}
    files = {name: read_assignments(resolve(folder, name), taxonomy) for name in sorted(names)}
    return {name: {full(product): ids for product, ids in table.items()} for name, table in files.items()}


def truths_of(path: str, settings: FeedSettings, part: int = 0, of: int = 1) -> Counter[tuple[str, ...]]:
    """The distinct true categories in (a part of) a file, and how many records have each; none without a column."""
    truths: Counter[tuple[str, ...]] = Counter()
    if settings.fields.truth is None:
        return truths
    mapper = Mapper(settings)
    for record in read_records(path, format_of(path, settings), settings, part, of):
        if not isinstance(record, BadRecord) and (names := mapper.truth(record.data)):
            truths[names] += 1
    return truths


def surveyed(
    path: str, settings: FeedSettings, truths: bool, part: int = 0, of: int = 1
) -> Iterator[tuple[tuple[str, ...], Product | None]]:
    """Of the records in (a part of) a file the true category, and the product with what :mod:`modules.feeds.variants`
    and the split need; a record that has neither is left out.

    Args:
      truths: whether the categories are wanted where no column tells variants.

    Raises:
      InputError: the file is missing or broken.
    """
    kind = format_of(path, settings)
    columns = [column for field in EVIDENCE if (column := getattr(settings.fields, field))]
    known = columns_of(path, kind, settings)
    if known is not None:
        columns = [name for name in columns if any(name == own or own.startswith(f"{name}.") for own in known)]
    if not columns and not (truths and settings.fields.truth):
        return
    evidence = [getter(column) for column in columns]
    # Cleaning what the survey does not need would cost most of the time; only a product that has nothing else is read
    # as a whole.
    mapper, whole = Mapper(_for_survey(settings)), Mapper(settings)
    for record in read_records(path, kind, settings, part, of):
        if isinstance(record, BadRecord) or not isinstance(record.data, dict):
            continue
        product = None
        if any(get(record.data) for get in evidence):
            for reader in (mapper, whole):
                try:
                    product = reader.product(record.data)
                    break
                except NotUsable:
                    # If no mapper can read it, it will be in the quarantine.
                    continue
        names = product.truth if product is not None else mapper.truth(record.data)
        if names or product is not None:
            yield names, product


def _for_survey(settings: FeedSettings) -> FeedSettings:
    """Without the columns that decide neither about a product's title group nor about its variants."""
    unmapped = {name: None for name in FieldSettings.model_fields if name not in _SURVEYED}
    fields = settings.fields.model_copy(update=unmapped)
    return settings.model_copy(update={"fields": fields, "attributes": {}, "label_columns": ()})


def find_dimensions(settings: ExampleSettings, files: Iterable[FeedFile]) -> dict[str, int]:
    """Vector field to its dimension: the features', else that of the first vector near the beginning of a feed."""
    dimensions = dict(settings.dimensions)
    sources = settings.sources
    mapped = [field for field in settings.product_columns.vectors if any(source.has(field) for source in sources)]
    unknown = [field for field in mapped if field not in dimensions]
    mappers = [Mapper(source, columns=settings.product_columns) for source in sources]
    for path, source in files if unknown else ():
        mapper = mappers[source]
        try:
            records = head_of(path, sources[source])
        except InputError:
            # Reading the whole file will say it, with all other problems.
            continue
        for record in records:
            try:
                vectors = mapper.product(record).vectors
            except NotUsable:
                continue
            for field in unknown:
                if field in vectors:
                    dimensions.setdefault(field, len(vectors[field]))
            if all(field in dimensions for field in unknown):
                return dimensions
    return dimensions


def head_of(path: str, settings: FeedSettings, limit: int = _LOOK_AHEAD) -> Iterable[object]:
    """The data of a file's first usable records, at most ``limit``, one by one."""
    records = read_records(path, format_of(path, settings), settings)
    return (record.data for record in islice(records, limit) if not isinstance(record, BadRecord))
