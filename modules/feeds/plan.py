"""What a run reads: the settings that matter for it, and the files behind them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pydantic import Field

from modules.errors import InputError
from modules.examples import TEXT_FIELDS, VECTOR_FIELDS
from modules.feeds.files import find_files, format_of, resolve
from modules.feeds.mapping import Mapper
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable
from modules.labels import read_labels
from modules.labels import resolve as resolve_labels
from modules.labels.model import ResolvedLabels
from modules.objectives import Objective, kinds_of
from modules.rules import RuleSet, load_rules
from modules.settings.base import Settings
from modules.settings.feed import FeedSettings
from modules.settings.workflow import LabelsSettings, RulesSettings, TaxonomySettings, Workflow
from modules.taxonomy import Taxonomy

_LOOK_AHEAD = 10_000


class ExampleSettings(Settings):
    """The part of a workflow that decides what the examples are.

    Everything else stays out, so that a change of, say, the learning rate leaves the examples in the cache.
    """

    feed: FeedSettings
    taxonomy: TaxonomySettings
    rules: RulesSettings
    labels: LabelsSettings
    objectives: dict[str, Objective]
    dimensions: dict[str, int] = Field(default_factory=dict)
    """Vector field to the number of values that the features expect."""

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
        update = {"folder": None, "folder_env": None, "demo": None, "images": workflow.images}
        feed = workflow.feed.model_copy(update=update)
        return cls(
            feed=feed,
            taxonomy=workflow.taxonomy,
            rules=workflow.rules,
            # A run reads the store's snapshot, and ML Metadata has no use for a database's address.
            labels=workflow.labels.model_copy(update={"store": None}),
            objectives=objectives,
            dimensions=dimensions,
        )

    def side_files(self, folder: str) -> list[str]:
        """The files beside the feed: taxonomy, rules, labels."""
        names = [self.taxonomy.file, self.rules.file, *self.labels.files]
        return [resolve(folder, name) for name in names if name]

    def feed_files(self, folder: str) -> list[str]:
        """The feed's files in the order in which records count as earlier.

        Raises:
          InputError: a pattern matches nothing.
        """
        return find_files(self.feed, folder, exclude=self.side_files(folder))


def load_taxonomy(settings: ExampleSettings, folder: str, truths: Iterable[tuple[str, ...]] = ()) -> Taxonomy:
    """The taxonomy of the file, or, with ``taxonomy.from_truth``, of the distinct true paths."""
    if settings.taxonomy.from_truth:
        return Taxonomy.from_paths(truths, exclusive="given")
    return Taxonomy.load(resolve(folder, settings.taxonomy.file or ""))


def load_rule_set(settings: ExampleSettings, folder: str, taxonomy: Taxonomy) -> RuleSet | None:
    """The rules, None if the workflow has none."""
    if settings.rules.file is None:
        return None
    return load_rules(resolve(folder, settings.rules.file), taxonomy, fields=TEXT_FIELDS)


def load_label_files(settings: ExampleSettings, folder: str, taxonomy: Taxonomy) -> ResolvedLabels:
    """What the annotators agree on, of all label files."""
    files = [resolve(folder, file) for file in settings.labels.files]
    return resolve_labels(read_labels(files, taxonomy, kinds_of(settings.objectives)))


def truths_of(path: str, settings: FeedSettings, part: int = 0, of: int = 1) -> set[tuple[str, ...]]:
    """The distinct true categories in (a part of) a file."""
    mapper = Mapper(settings)
    truths = set()
    for record in read_records(path, format_of(path, settings), settings, part, of):
        if not isinstance(record, BadRecord):
            truths.add(mapper.truth(record.data))
    return {names for names in truths if names}


def find_dimensions(settings: ExampleSettings, files: Iterable[str]) -> dict[str, int]:
    """Vector field to its dimension: the features', else that of the first vector near the beginning of the feed."""
    dimensions = dict(settings.dimensions)
    fields = settings.feed.fields
    unknown = [field for field in VECTOR_FIELDS if getattr(fields, field) and field not in dimensions]
    mapper = Mapper(settings.feed)
    for path in files if unknown else ():
        try:
            records = head_of(path, settings.feed)
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
