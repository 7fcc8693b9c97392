"""Where products come from: files or a source, field mapping, split, quarantine."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from modules.category_text import CategoryCells
from modules.errors import Problem
from modules.examples import RESERVED, RETAILER
from modules.feeds.formats import FORMATS
from modules.feeds.sources import Source
from modules.plugins import KindName
from modules.settings.base import Settings, contradiction
from modules.settings.images import ImageSettings

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Split = Literal["train", "eval", "test"]
SPLITS: tuple[Split, ...] = ("train", "eval", "test")

Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _known_encoding(name: str) -> str:
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True):
        raise ValueError("expected the name of an encoding of text, such as utf-8, windows-1252 or utf-16")
    return name


class FieldSettings(Settings):
    """Product field to feed column. A dotted name reaches into nested JSON objects (``extra.url``)."""

    id: str = "id"
    """The column with the product's id, which must differ between all products of a feed."""
    title: str | None = "title"
    """The column with the product's title; null where the feed has none."""
    description: str | None = "description"
    """The column with the description; null where the feed has none."""
    brand: str | None = "brand"
    """The column with the brand or maker; null where the feed has none."""
    raw_category: str | None = "raw_category"
    """The column with the retailer's own category text, which the model reads; null where the feed has none."""
    gender: str | None = "gender"
    """The column with the gender that a product is made for; null where the feed has none."""
    size: str | None = "size"
    """The column with the size, by which variants are recognised; null where the feed has none."""
    color: str | None = "color"
    """The column with the colour, by which variants are recognised; null where the feed has none."""
    price: str | None = "price"
    """The column with the price, as a number or as shops write it; null where the feed has none."""
    currency: str | None = "currency"
    """The column with the price's currency; null where the feed has none."""
    availability: str | None = "availability"
    """The column that says whether a product is in stock; null where the feed has none."""
    image: str | None = "image"
    """The column with the picture's address or path; null where the feed has none."""
    retailer: str | None = "retailer"
    """The column with the retailer's name; null where the feed has none."""
    url: str | None = "url"
    """The column with the address of the product's page; null where the feed has none."""
    item_group_id: str | None = "item_group_id"
    """What variants of one article share, within a retailer: the parent's id or number. For the split alone."""
    gtin: str | None = "gtin"
    """The EAN, UPC or ISBN-13; one with a wrong check digit counts as none. For the split alone."""
    image_vector: str | None = None
    """The column with a vector of the picture, for a feature of kind ``dense``; null where the feed has none."""
    truth: str | None = None
    """The column with the true category (text or a list of names), for feeds that carry one; see ``labels.truth``."""


class SplitSettings(Settings):
    """Which split a product falls into: the feed's own column if there is one, else a hash of the normalised title, of
    one title for all products that share an item group, a GTIN or a picture."""

    column: str | None = None
    """The feed's own split column (dotted)."""
    values: dict[str, Split] = {"train": "train", "eval": "eval", "test": "test"}
    """The column's value to a split; any other value is split by hash."""
    eval_share: Share = 0.1
    """Share of the products by which training is stopped and calibrated, of those that are split by hash."""
    test_share: Share = 0.2
    """Shares of the hashed products. With a split column, ``eval_share`` is also cut out of the column's train
    products (by hash of the title) if the column has no value for eval."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Another seed is another split by hash: to see how much of a figure is the luck of the split. Not to be changed
    between runs that are compared: what was learnt from would be measured on."""

    @model_validator(mode="after")
    def _shares(self) -> SplitSettings:
        if self.eval_share + self.test_share >= 1.0:
            raise ValueError("eval_share + test_share must leave something for train (be below 1)")
        return self


class QuarantineSettings(Settings):
    max_share: Share = 0.05
    """Above this share of bad records the run stops."""
    examples: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many bad records per reason the error shows."""


class DemoSettings(Settings):
    """The generated catalogue: written into the feed's folder when it is not there yet."""

    products: Annotated[int, Field(ge=50)] = 4000
    """How many products are generated."""
    seed: int = 7
    """The same seed generates the same catalogue."""
    images: bool = True
    """Whether the products have pictures, which take longer to generate."""


RetailerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""Letters, digits, ``.``, ``_``, ``-``: part of the ids of its products, so that no name has the colon behind it."""


AttributeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Lower-case letters, digits and ``_``: an attribute is a column of the examples, and mostly a feature's name, too."""


class FileSettings(Settings):
    """What is true of the files of one retailer alone."""

    retailer: RetailerName | None = None
    """The retailer of all products in these files, in place of the column ``fields.retailer``."""
    files: tuple[str, ...] = tuple(
        f"*{suffix}{packed}"
        for suffix in (".jsonl", ".csv", ".tsv", ".parquet", ".xlsx", ".xml")
        for packed in ("", ".gz", ".zst", ".zip")
        if not packed or suffix not in (".parquet", ".xlsx")
    )
    """Glob patterns. The format follows from the name unless ``format`` says otherwise."""
    source: Source | None = None
    """In place of files: an address (``http``) or a database's query (``sql``) whose content is taken as a snapshot
    when a run starts."""
    format: Annotated[str, KindName(FORMATS, "auto")] = "auto"
    """The name of a format that comes with Shelfmark or is provided by an installed distribution; ``auto``: the format
    that each file's name tells."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Of CSV files; null: each file's beginning tells it. ``.tsv`` always has tabs."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Of files of text, such as ``windows-1252``; null: each file's own bytes tell it."""
    fields: FieldSettings = FieldSettings()
    attributes: dict[AttributeName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Further product attributes: a name of your own to its column (dotted, as in ``fields``). The feature that reads
    an attribute says what it holds: text (``text``, ``categorical``), a number (``number``), a price (``price``) or a
    vector (``dense``). One that no feature reads is text, for rules and the labelling pages."""
    truth_separator: Annotated[str, Field(min_length=1, max_length=8)] = ">"
    """Between the names of a true category that is given as text (``Shoes > Boots``); blanks around names go, and one
    written with blanks (``" / "``) needs them. A backslash before it makes it a part of a name."""
    truth_paths_separator: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """Between several true categories in one cell; the first is the exclusive label. A comma alone is one without a
    blank behind it, ``", "`` one with a blank; null: a text is one path. Lists of paths need none."""
    truth_numbered: bool = False
    """A number and a dash before a path (``166 - Apparel & Accessories``) belong to no name."""

    @property
    def truth_cells(self) -> CategoryCells:
        """How the column with the true category is read."""
        return CategoryCells(self.truth_separator, self.truth_paths_separator, self.truth_numbered)

    def has(self, field: str) -> bool:
        """Whether products can have a value in this product field."""
        return self.column(field) is not None or (field == RETAILER and self.retailer is not None)

    def column(self, field: str) -> str | None:
        """The feed's column of a product field or an attribute; None where the feed has none."""
        if field in self.attributes:
            return self.attributes[field]
        column: str | None = getattr(self.fields, field) if field in FieldSettings.model_fields else None
        return column

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        yield from self._check_files(place)
        yield from self._check_attributes(place)
        if self.truth_paths_separator == self.truth_separator:
            expected = "another text than truth_separator, or null"
            yield contradiction(f"{place}.truth_paths_separator", repr(self.truth_paths_separator), expected)

    def _check_files(self, place: str) -> Iterator[Problem]:
        if self.source is None and not self.files:
            yield contradiction(f"{place}.files", self.files, "at least one pattern, or a source in place of files")
        elif self.source is not None and self.files not in ((), FileSettings.model_fields["files"].default):
            yield contradiction(f"{place}.files", self.files, f"no files, since {place}.source says where products are")

    def _check_attributes(self, place: str) -> Iterator[Problem]:
        for name, column in self.attributes.items():
            key = f"{place}.attributes.{name}"
            if name in FieldSettings.model_fields:
                expected = (
                    f"another name: {name} is a field of the product schema, whose column {place}.fields.{name} names"
                )
                yield contradiction(key, column, expected)
            elif name in RESERVED:
                yield contradiction(key, column, f"another name: {name} has a meaning of its own in the examples")
            elif column == self.fields.truth:
                expected = "another column: this one has the category to learn, which no feature may know"
                yield contradiction(key, column, expected)


class RetailerFeed(FileSettings):
    """The feed of one of several retailers: its files, and how they are read. What is common stands in ``feed``."""

    retailer: RetailerName
    """Another one for each feed; the ids of its products start with it (``retailer:id``)."""
    files: tuple[str, ...] = ()
    """Glob patterns, relative to ``feed.folder``. No file may be in two feeds."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        yield from _retailer_column(self, place)


class FeedSettings(FileSettings):
    folder: str | None = None
    """The folder that ``files`` (and taxonomy, rules, labels) are relative to; default: the workflow file's own
    folder, and with ``demo`` the folder ``<name>-catalogue`` in ``runners.local.folder``. ``--feed DIR`` or the
    environment variable named by ``folder_env`` overrides it."""
    folder_env: str | None = None
    """An environment variable that names the folder, in place of ``folder``."""
    outside: bool = False
    """Files outside of the folder may be read: by patterns with ``..`` or full paths, and by links that lead out."""
    label_columns: tuple[str, ...] = ()
    """Columns with category assignments. Those that ``objectives.*.labels.sources`` name are added by themselves."""
    ids: Literal["plain", "retailer"] = "plain"
    """``plain``: a product's id is the feed's; ``retailer``: ``retailer:id``, for a workflow that more retailers will
    join. With several ``feeds`` ids are always ``retailer:id``."""
    split: SplitSettings = SplitSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    """What happens to records that cannot be read."""
    demo: DemoSettings | None = None
    images: ImageSettings | None = None
    """Images as bytes in the examples; null: only if a feature needs them, with the defaults."""
    max_record_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    """A longer record goes to quarantine."""
    max_field_chars: Annotated[int, Field(ge=16)] = 20_000
    """A longer field is cut."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if workflow.feeds:
            defaults = FileSettings()
            for name in FileSettings.model_fields:
                if (value := getattr(self, name)) != getattr(defaults, name):
                    expected = f"no {name} here, since each feed of feeds has its own"
                    yield contradiction(f"{place}.{name}", "" if isinstance(value, Settings) else value, expected)
            if self.demo is not None:
                yield contradiction(f"{place}.demo", "", "no demo beside feeds")
        else:
            yield from _retailer_column(self, place)
            if self.ids == "retailer" and self.retailer is None:
                yield contradiction(f"{place}.ids", self.ids, "feed.retailer to name the retailer")
        if workflow.images is not None and all(source.fields.image is None for source in workflow.sources):
            key = "feeds" if workflow.feeds else f"{place}.fields.image"
            expected = "the column with paths or addresses of images, for feed.images"
            yield contradiction(key, "" if workflow.feeds else "null", expected)


def _retailer_column(settings: FileSettings, place: str) -> Iterator[Problem]:
    """A column that somebody named for what is known already."""
    column = settings.fields.retailer
    if settings.retailer is not None and column not in (None, FieldSettings.model_fields[RETAILER].default):
        expected = f"no column, since all products are of the retailer {settings.retailer}"
        yield contradiction(f"{place}.fields.retailer", column, expected)


def sources_of(feed: FeedSettings, feeds: Sequence[RetailerFeed]) -> tuple[FeedSettings, ...]:
    """The complete settings of each feed: those of ``feed`` alone, or each of ``feeds`` with what is common."""
    ids = "retailer" if len(feeds) > 1 else feed.ids
    return tuple(
        feed.model_copy(update={**{name: getattr(own, name) for name in FileSettings.model_fields}, "ids": ids})
        for own in feeds
    ) or (feed,)
