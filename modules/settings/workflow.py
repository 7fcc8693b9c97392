"""The workflow file's whole content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, model_validator

from modules.errors import Problem
from modules.examples import AVAILABILITY, BRAND, GENDER, RETAILER, TOP_CATEGORY, Holds, ProductColumns
from modules.features import OWN_FIELDS, Feature, default_features, image_feature
from modules.models import Model, solver_problems
from modules.models.auto import AutoModel
from modules.models.wide_deep import WideDeepModel
from modules.objectives import DEFAULT_OBJECTIVE, Objective, default_objectives, kinds_of, single_label_names
from modules.settings.base import NotNegative, Settings, contradiction
from modules.settings.beam import BeamSettings
from modules.settings.committee import CommitteeSettings
from modules.settings.drift import DriftSettings
from modules.settings.encodings import EncodingSettings
from modules.settings.feed import FeedSettings, RetailerFeed, Split, sources_of
from modules.settings.images import ImageSettings
from modules.settings.kubeflow import KubeflowSettings
from modules.settings.retention import RetentionSettings
from modules.settings.sampling import SamplingSettings
from modules.settings.similarity import SimilaritySettings
from modules.settings.tuning import TuningSettings
from modules.training.methods import Training, solvers
from modules.training.methods.adam import AdamTraining
from modules.training.methods.base import TrainingSettings
from modules.training.methods.liblinear import LiblinearTraining

_PART = "part"
"""Validation context of a part: contradictions were looked for in the whole."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class TaxonomySettings(Settings):
    file: str | None = "taxonomy.yaml"
    """The file with the categories, relative to the feed's folder; null only with ``from_truth``."""
    from_truth: bool = False
    """In place of a file: the categories are the distinct true paths of the feed (``feed.fields.truth``) with their
    ancestors, sorted; every path that some product has is exclusive. Built when the run starts."""

    @model_validator(mode="before")
    @classmethod
    def _no_file(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("from_truth") is True and "file" not in data:
            return {**data, "file": None}
        return data

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if self.from_truth and self.file is not None:
            yield contradiction(f"{place}.file", self.file, "null, since taxonomy.from_truth builds the taxonomy")
        elif self.from_truth and not workflow.truth_columns:
            expected = f"{workflow.field_key('truth')} to name the column with the categories"
            yield contradiction(f"{place}.from_truth", "true", expected)
        elif not self.from_truth and self.file is None:
            yield contradiction(f"{place}.file", "null", "a file, or taxonomy.from_truth: true")


class RulesSettings(Settings):
    file: str | None = None
    """The file with the rules, relative to the feed's folder; null: there are none."""


class TruthSettings(Settings):
    """Labels from the feed's own true category (``feed.fields.truth``), as imported labels of everybody's products."""

    objective: str = DEFAULT_OBJECTIVE
    """The exclusive objective that learns the first true category of each product."""
    independent: str | None = None
    """A multi-label objective with ``labels: people`` that learns all true categories of each product and those above
    them; every other category counts as no. null: none."""
    splits: tuple[Split, ...] = ("train", "eval", "test")
    """The splits whose products get these labels."""
    evaluate: bool = False
    """Marks these labels as drawn without a choice, so that metrics may stand on them: only where every product of
    the test split has one."""
    cut_to_taxonomy: bool = False
    """A path that is not in the taxonomy is cut to its nearest ancestor that is, in place of an error."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if not workflow.truth_columns:
            yield contradiction(place, "", f"{workflow.field_key('truth')} to name the column")
        if self.objective not in workflow.objectives:
            yield contradiction(f"{place}.objective", self.objective, f"one of: {', '.join(workflow.objectives)}")
        elif workflow.objectives[self.objective].single_label is False:
            yield contradiction(f"{place}.objective", self.objective, "an exclusive objective")
        if self.independent is not None:
            objective = workflow.objectives.get(self.independent)
            if objective is None or objective.single_label or objective.learns_from_rules:
                expected = "null, or a multi-label objective of this workflow with labels: people"
                yield contradiction(f"{place}.independent", self.independent, expected)


class LabelsSettings(Settings):
    files: tuple[str, ...] = ()
    """Files with people's labels, relative to the feed's folder."""
    store: str | None = None
    """The label store whose labels come on top of ``files``: a SQLite file, relative to the workflow file, or
    ``postgresql://user@host/database``. A run takes a snapshot of it."""
    truth: TruthSettings | None = None
    evaluate_imported: bool = False
    """Labels with source ``import`` count as random ones in the evaluation."""


class ThresholdSettings(Settings):
    """What the model must reach to be blessed; a key that is left out is not looked at."""

    accuracy: Fraction | None = None
    """The accuracy on the test split that a model must reach; of an exclusive objective."""
    macro_f1: Fraction | None = None
    """The mean of the categories' F1 that a model must reach."""
    micro_f1: Fraction | None = None
    """The F1 over all pairs of product and category that a model must reach; of a multi-label objective."""
    max_drop: NotNegative | None = None
    """How much accuracy (exclusive) or micro-F1 (multi-label) may fall below the last blessed model's."""
    category_f1: dict[str, Fraction] = Field(default_factory=dict)
    """Category (path or id) to the F1 it must reach."""
    every_category_f1: Fraction | None = None
    """The same for every other category with enough labelled test products."""
    category_max_drop: NotNegative | None = None
    """How far the F1 of a category with enough labelled test products may fall below the last blessed model's."""
    category_min_support: Annotated[int, Field(ge=1)] = 20
    """Categories with fewer labelled test products are judged together (their pooled F1)."""
    rest_f1: Fraction | None = None
    """What the pooled categories must reach."""


SLICES = (RETAILER, TOP_CATEGORY, BRAND, GENDER, AVAILABILITY)
"""Columns whose values metrics can be given for each."""


class EvaluationSettings(Settings):
    slices: tuple[str, ...] = (RETAILER, TOP_CATEGORY)
    """Columns by whose values metrics are also computed, each value for itself."""
    disparity: tuple[str, ...] = ()
    """Columns whose slices are compared by the p% rule: smallest over greatest rate. They are sliced by as well."""
    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """A label counts as a hit of the top-k accuracy where it is among this many likeliest categories."""
    thresholds: dict[str, ThresholdSettings] = Field(default_factory=dict)
    """Objective to its thresholds."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """How sure the intervals of all figures are; 0.95 gives 95% intervals."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        for name in self.thresholds:
            if name not in workflow.objectives:
                yield contradiction(f"{place}.thresholds.{name}", name, f"one of: {', '.join(workflow.objectives)}")
        for key, names in (("slices", self.slices), ("disparity", self.disparity)):
            for name in names:
                if name not in SLICES:
                    yield contradiction(f"{place}.{key}", name, f"one of: {', '.join(SLICES)}")


class ValidationSettings(Settings):
    schema_file: str | None = None
    """A curated TensorFlow Metadata schema (pbtxt); default: the product schema that comes with the package."""
    stop_on_anomalies: bool = True
    """Whether a run stops where a feed's statistics break the schema; else it reports that and goes on."""


class PredictionSettings(Settings):
    batch_size: Annotated[int, Field(ge=1)] = 2048
    """Products that are predicted at a time. Larger batches are faster and take more memory."""
    top_k: Annotated[int, Field(ge=1, le=1000)] = 32
    """How many of a product's likeliest categories are kept with their probabilities."""


class PushSettings(Settings):
    folder: str | None = None
    """Where blessed models go; default: ``pushed/`` in the run folder."""
    indexes: str | None = None
    """Where blessed similarity indexes go; default: ``pushed_indexes/`` in the run folder."""


class LocalSettings(Settings):
    folder: str = "runs"
    """Relative to the directory the program is started in; holds the pipeline root and ML Metadata."""
    metadata: str | None = None
    """URL of an ML Metadata database in place of SQLite in ``folder``: ``mysql://``; to read metrics from, also
    ``postgresql://`` and ``grpc://``."""
    retention: RetentionSettings | None = None
    """Which artifacts of older runs are deleted at the end of a run; null: none."""


class RunnerSettings(Settings):
    local: LocalSettings = LocalSettings()
    """How a run on this machine keeps its files."""
    kubeflow: KubeflowSettings = KubeflowSettings()
    """How the package for Kubeflow Pipelines is compiled, and what its pods ask for."""


class Workflow(Settings):
    """One declarative file: all that a run needs."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    """Also the pipeline's name in ML Metadata."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    """The seed of everything that is drawn at random; the same seed and inputs give the same results."""
    feed: FeedSettings = FeedSettings()
    """Where products come from, and what their columns are."""
    feeds: tuple[RetailerFeed, ...] = ()
    """The feeds of several retailers; ``feed`` then has what is common to all. Without: ``feed`` is the only one."""
    taxonomy: TaxonomySettings = TaxonomySettings()
    """The categories that products are put into."""
    rules: RulesSettings = RulesSettings()
    """Rules that label products by their texts."""
    labels: LabelsSettings = LabelsSettings()
    """Labels by people, from files, the label store or the feed itself."""
    features: dict[str, Feature] = Field(default_factory=default_features)
    """What the model reads of a product, by names of your own; left out, the texts and the gender as far as the feed
    has them."""
    encodings: EncodingSettings = EncodingSettings()
    objectives: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Objective] = default_objectives()
    """What the model learns, by names of your own."""
    model: Model = AutoModel()
    """Left out, with a training.solver that descends a gradient: wide_deep."""
    training: Training = LiblinearTraining(liblinear_c=None, refit_on_eval=True)
    """Left out, with a kind of model that only gradient descent trains: adam."""
    tuning: TuningSettings | None = None
    """Settings of ``model`` and ``training`` that are searched before the model is trained; null: none."""
    committee: CommitteeSettings | None = None
    """Several models that answer as one; null: a single model."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """What is measured on the test split, and what a model must reach to be blessed."""
    validation: ValidationSettings = ValidationSettings()
    """What is checked of a feed's statistics before anything is learnt."""
    prediction: PredictionSettings = PredictionSettings()
    """How all products are predicted after the training."""
    push: PushSettings = PushSettings()
    """Where blessed models and indexes go."""
    drift: DriftSettings = DriftSettings()
    """When `shelfmark drift` warns of a day's feed."""
    sampling: SamplingSettings | None = SamplingSettings()
    """Which products people are asked about next; null: none."""
    similarity: SimilaritySettings | None = None
    """Indexes of similar products; null: none."""
    runners: RunnerSettings = RunnerSettings()
    """Settings of the runs on this machine and on Kubeflow."""
    beam: BeamSettings = BeamSettings()
    """Where the components that are Beam pipelines do their work."""

    @model_validator(mode="before")
    @classmethod
    def _objectives(cls, data: object) -> object:
        """Without rules there is nothing for a rule_based head to learn, so it is left out by default."""
        if isinstance(data, dict) and "objectives" not in data:
            rules = data.get("rules")
            if not (isinstance(rules, dict) and rules.get("file")):
                return {**data, "objectives": default_objectives(rules=False)}
        return data

    @model_validator(mode="before")
    @classmethod
    def _learner(cls, data: object) -> object:
        """Model and way of training go together: the default of the one that is left out suits the other."""
        if not isinstance(data, dict):
            return data
        model, training = data.get("model"), data.get("training")
        by_gradient = {"solver": AdamTraining().solver}
        if "model" in data and "training" not in data:
            chooses = isinstance(model, dict) and model.get("kind") == AutoModel().kind
            return data if chooses else {**data, "training": by_gradient}
        if "model" not in data and (isinstance(training, dict) or data.get("tuning") is not None):
            training = training or by_gradient
            exact = training.get("solver") == LiblinearTraining().solver
            return {**data, "training": training, "model": {"kind": (AutoModel() if exact else WideDeepModel()).kind}}
        return data

    @model_validator(mode="before")
    @classmethod
    def _features(cls, data: object) -> object:
        """A default feature whose column is null in the mapping is left out; one that is written down is an error."""
        if isinstance(data, dict) and "features" not in data:
            return {**data, "features": features_for(data)}
        return data

    @model_validator(mode="after")
    def _contradictions(self, info: ValidationInfo) -> Workflow:
        problems = [] if info.context == _PART else list(self.check(self))
        if problems:
            raise ContradictionError(problems)
        return self

    def check(self, workflow: Workflow, place: str = "") -> Iterator[Problem]:
        """Everything in which two settings contradict each other."""
        if not self.features:
            yield contradiction("features", "{}", "at least one feature")
        if not self.objectives:
            yield contradiction("objectives", "{}", "at least one objective")
        seen: set[str] = set()
        for number, own in enumerate(self.feeds):
            if own.retailer.casefold() in seen:
                expected = "another retailer than the feeds before, whatever the case of its letters"
                yield contradiction(f"feeds.{number}.retailer", own.retailer, expected)
            seen.add(own.retailer.casefold())
        yield from super().check(workflow, place)
        yield from solver_problems(self.model, self.training, "model", "training")

    @property
    def single_label_objectives(self) -> list[str]:
        """The objectives by which a product is in one category at most."""
        return single_label_names(kinds_of(self.objectives))

    @property
    def reads_names(self) -> bool:
        """Whether a feature can read categories' names for an objective with one category a product."""
        return bool(self.single_label_objectives) and any(own.reads_names for own in self.features.values())

    @property
    def searched_features(self) -> list[str]:
        """The features that an index searches by themselves, whose vectors the exported model gives out."""
        return self.similarity.features if self.similarity is not None else []

    @staticmethod
    def solvers(fits: Callable[[type[TrainingSettings]], bool]) -> str:
        """:func:`modules.training.methods.solvers`, for sections which that module itself imports."""
        return solvers(fits)

    @property
    def sources(self) -> tuple[FeedSettings, ...]:
        """The complete settings of every feed."""
        return sources_of(self.feed, self.feeds)

    @property
    def truth_columns(self) -> tuple[str, ...]:
        """The distinct columns with the true category, of the feeds that have one."""
        columns = [source.fields.truth for source in self.sources]
        return tuple(dict.fromkeys(column for column in columns if column is not None))

    @property
    def attribute_readers(self) -> dict[str, str | None]:
        """Attribute of any feed to the first feature that reads it, None where no feature does."""
        names = dict.fromkeys(name for source in self.sources for name in source.attributes)
        readers: dict[str, str | None] = dict(names)
        for feature_name, feature in self.features.items():
            for column in feature.columns_of(feature_name):
                if column in readers and readers[column] is None:
                    readers[column] = feature_name
        return readers

    @property
    def product_columns(self) -> ProductColumns:
        """The columns that describe products, and what each holds: of an attribute, what its feature reads."""
        holds: dict[str, Holds] = {
            name: "text" if reader is None else self.features[reader].reads
            for name, reader in self.attribute_readers.items()
        }
        return ProductColumns(holds)

    def attribute_key(self, name: str) -> str:
        """Where the workflow says which column an attribute is, for a message."""
        return f"feeds[...].attributes.{name}" if self.feeds else f"feed.attributes.{name}"

    def field_key(self, field: str) -> str:
        """Where the workflow says which column a field is, for a message."""
        return f"feeds[...].fields.{field}" if self.feeds else f"feed.fields.{field}"

    @property
    def images(self) -> ImageSettings | None:
        """How images come into the examples; None: they do not."""
        if self.feed.images is None and image_feature(self.features) is not None:
            return ImageSettings()
        return self.feed.images

    @classmethod
    def from_part(cls, text: str) -> Workflow:
        """The workflow out of JSON that holds only the sections a component needs; all others have their defaults."""
        return cls.model_validate_json(text, context=_PART)


def features_for(data: dict[str, Any]) -> dict[str, Feature]:
    """The default features, of the columns that a workflow's data has in one of its feeds at least."""
    feeds = data.get("feeds")
    sources = feeds if isinstance(feeds, list | tuple) and feeds else [data.get("feed")]
    missing = set.intersection(*map(_unmapped, sources))
    return default_features([field for field in OWN_FIELDS if field not in missing])


def _unmapped(feed: object) -> set[str]:
    """The fields for which a feed's data, checked or not, has no column."""
    fields = feed.get("fields") if isinstance(feed, dict) else None
    return {name for name, column in fields.items() if column is None} if isinstance(fields, dict) else set()


class ContradictionError(ValueError):
    """Settings that are right each alone, but not together: a problem with each key that has to change."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.key}: {problem.expected}" for problem in problems))
