"""A workflow's products read in this process, for what needs no run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from modules.feeds.files import format_of
from modules.feeds.mapping import Mapper, Product
from modules.feeds.plan import head_of
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.truth import TrueCategories
from modules.feeds.values import NotUsable
from modules.settings.feed import FeedSettings, FieldSettings

if TYPE_CHECKING:
    from modules.labels import ResolvedLabel
    from modules.taxonomy import Taxonomy
    from pipeline.workflow_file import LoadedWorkflow


def read_products(
    loaded: LoadedWorkflow, change: Callable[[FeedSettings], FeedSettings] | None = None
) -> Iterator[Product]:
    """Streams all feeds' usable products, cleaned as in a run; a repeated id comes as often as its feed has it.

    Args:
      change: makes other settings of a feed's, for a part of the columns.

    Raises:
      InputError: a file is missing or broken.
    """
    sources = [change(source) if change else source for source in loaded.workflow.sources]
    for path, number in loaded.feed_files():
        source = sources[number]
        mapper = Mapper(source, head=partial(head_of, path, source), columns=loaded.workflow.product_columns)
        for record in read_records(path, format_of(path, source), source):
            if not isinstance(record, BadRecord):
                try:
                    yield mapper.product(record.data)
                except NotUsable:
                    continue


def true_labels(loaded: LoadedWorkflow, taxonomy: Taxonomy) -> dict[str, ResolvedLabel]:
    """Product id to the label that its true category is; products of unknown or no category are left out."""
    from modules.labels import ResolvedLabel

    truth = loaded.workflow.labels.truth
    categories = TrueCategories(taxonomy, truth is not None and truth.cut_to_taxonomy)
    labels_by_product: dict[str, ResolvedLabel] = {}
    for product in read_products(loaded, _only_truth):
        category = categories.find(product.truth)
        if category is not None and category.exclusive:
            label = ResolvedLabel(category.id, (), (), "import", None, (), 1.0)
            labels_by_product.setdefault(product.id, label)
    return labels_by_product


def _only_truth(feed: FeedSettings) -> FeedSettings:
    """Cleaning the other fields would cost most of the time; a product needs one of them, so the title stays."""
    unmapped = {name: None for name in FieldSettings.model_fields if name not in ("id", "title", "truth")}
    return feed.model_copy(update={"fields": feed.fields.model_copy(update=unmapped), "attributes": {}})
