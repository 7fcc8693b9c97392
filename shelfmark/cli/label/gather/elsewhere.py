"""A batch of a pipeline that ran elsewhere (in a cluster, say), of which nothing but the batch can be read here.

What the pages show of its products comes from the feed. They show no neighbours, metrics or predictions of that run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from labelling.content import Batch, Product
from labelling.store import Store, importing
from labelling.store.database import now
from labelling.store.importing import Imported
from modules.rules import load_rules
from modules.rules.engine import RuleEngine
from modules.settings.feed import TEXT_FIELDS
from modules.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pipeline.workflow_file import LoadedWorkflow


def bring_alone(
    store: Store, loaded: LoadedWorkflow, batches: Sequence[Batch], *, wanted: int = 1
) -> dict[str, Imported]:
    """Puts batches into the store, with their products as the workflow's feed describes them.

    Args:
      wanted: how many annotators are to answer each.

    Returns:
      Batch id to what became of its items.

    Raises:
      InputError: taxonomy, rules or feed cannot be read, or the objectives are others than the store's.
    """
    from pipeline.inputs import taxonomy_of

    taxonomy = taxonomy_of(loaded)
    products = list(_products(loaded, taxonomy, {item.product_id for batch in batches for item in batch.items}))
    kinds = {name: objective.kind for name, objective in loaded.workflow.objectives.items()}
    time = now()
    with store.write() as connection:
        importing.taxonomy(connection, taxonomy, time)
        importing.objectives(connection, kinds)
        importing.products(connection, products, None, time)
        return {batch.id: importing.batch(connection, batch, time, wanted=wanted) for batch in batches}


def _products(loaded: LoadedWorkflow, taxonomy: Taxonomy, asked: set[str]) -> Iterator[Product]:
    from pipeline.products import read_products

    engine = None
    if loaded.rules_file is not None and loaded.rules_file.is_file():
        engine = RuleEngine(load_rules(loaded.rules_file, taxonomy, fields=TEXT_FIELDS))
    left = set(asked)
    for one in read_products(loaded):
        if one.id not in left:
            continue
        left.discard(one.id)
        fields = {name: text for name, text in one.text.items() if name != "image"}
        image = one.text.get("image")
        folder = None if image is None or "://" in image else str(loaded.folder)
        yield Product(one.id, fields, image, folder, engine.fire_ids(one.text) if engine is not None else ())
        if not left:
            return
