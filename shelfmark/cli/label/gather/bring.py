"""Brings a batch into the store with everything that the pages show beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelling.batches.neighbours import find_neighbours
from labelling.content import Batch, Product
from labelling.store import Store, importing, rows
from labelling.store.database import now
from labelling.store.importing import Imported
from labelling.store.tables import runs as runs_table
from modules.objectives import kind_named, kinds_of, multi_label_names, single_label_names
from modules.predictions.read import PredictionFiles
from modules.rules import RuleSet, load_rules
from modules.rules.engine import RuleEngine
from modules.taxonomy import Taxonomy
from shelfmark.cli.label.gather import examples as ex
from shelfmark.cli.label.gather import predictions as pr
from shelfmark.cli.label.gather import runs as rn

if TYPE_CHECKING:
    from pipeline.runs import Run, Runs
    from pipeline.workflow_file import LoadedWorkflow

_STEP = 5000


def bring(
    store: Store, loaded: LoadedWorkflow, run: Run, runs: Runs, batches: Sequence[Batch], *, wanted: int = 1
) -> dict[str, Imported]:
    """Puts batches into the store, and what the pages show of their products and of the run.

    Args:
      store: where the batches go.
      loaded: the workflow of the run.
      run: whose examples and predictions the batches are of.
      runs: all runs of the workflow.
      batches: as a run has drawn them.
      wanted: how many annotators are to answer each.

    Returns:
      Batch id to what became of its items.

    Raises:
      InputError: the run lacks something, or its objectives are others than the store's.
    """
    taxonomy = run.taxonomy()
    files = PredictionFiles(run.folder("predictions"))
    rules = _rules(loaded, taxonomy)
    judge = next(iter(single_label_names(files.kinds)), None)
    classes = kind_named(files.kinds[judge]).classes(taxonomy) if judge else ()
    asked = sorted({item.product_id for batch in batches for item in batch.items})
    with store.read() as connection:
        known = _labelled(connection, files)
    near = find_neighbours(files, asked, known, classes=[category.id for category in classes])
    tally = ex.tally_rules(run.folder("examples"), rules, taxonomy, judge)
    facts = list(rn.rule_facts(rules, tally, taxonomy)) if rules is not None else []
    confused = pr.confusions(files, taxonomy)
    missed = rn.missed(tally)
    shown = {*asked, *(neighbour.other for neighbour in near)}
    shown |= {name for fact in facts for ids in fact.examples.values() for name in ids}
    shown |= {name for _, ids in confused.values() for name in ids} | {
        name for _, ids in missed.values() for name in ids
    }
    predicted = pr.read_wanted(files, taxonomy, shown)
    products = list(_products(ex.read_examples(run.folder("examples"), shown), predicted, loaded.folder))
    metrics = rn.measured(runs.store, loaded.workflow.name)
    mine = rn.run_of(
        run.id, loaded.workflow.name, metrics.get(run.id) or _reused(metrics, run.id), run.outputs,
        confusions=confused, rules=facts, missed=missed,
    )  # fmt: skip
    time = now()
    with store.write() as connection:
        importing.taxonomy(connection, taxonomy, time)
        importing.objectives(connection, files.kinds)
        have = set(connection.scalars(runs_table.select().with_only_columns(runs_table.c.id)))
        for name, run_metrics in metrics.items():
            if name not in have and name != run.id:
                importing.run(connection, rn.run_of(name, loaded.workflow.name, run_metrics))
        importing.run(connection, mine)
        importing.products(connection, products, run.id, time)
        importing.neighbours(connection, near)
        return {
            batch.id: importing.batch(connection, _suggested(batch, predicted), time, wanted=wanted)
            for batch in batches
        }


def bring_alone(
    store: Store,
    loaded: LoadedWorkflow,
    batches: Sequence[Batch],
    *,
    wanted: int = 1,
    shown: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Imported]:
    """The same for batches of a pipeline that ran elsewhere (in a cluster, say), of which nothing else is read here.

    What the pages show of their products comes from the workflow's feed. They show no neighbours, metrics or
    predictions of that run.

    Args:
      store: where the batches go.
      loaded: the workflow whose feed has the products.
      batches: as they were drawn.
      wanted: how many annotators are to answer each.
      shown: what is known of products that may be in another feed than the workflow's.

    Raises:
      InputError: taxonomy, rules or feed cannot be read, or the objectives are others than the store's.
    """
    from pipeline.inputs import taxonomy_of

    taxonomy = taxonomy_of(loaded)
    asked = {item.product_id for batch in batches for item in batch.items}
    products = list(_of_feed(loaded, _rules(loaded, taxonomy), asked))
    missing = asked.difference(product.id for product in products)
    products += [Product(name, fields) for name, fields in (shown or {}).items() if name in missing]
    kinds = kinds_of(loaded.workflow.objectives)
    time = now()
    with store.write() as connection:
        importing.taxonomy(connection, taxonomy, time)
        importing.objectives(connection, kinds)
        importing.products(connection, products, None, time)
        return {batch.id: importing.batch(connection, batch, time, wanted=wanted) for batch in batches}


def bring_products(store: Store, loaded: LoadedWorkflow, run: Run) -> int:
    """Puts all products of a run into the store, as far as their texts, pictures and rules go; returns how many.

    Products that the store knows keep their predictions.
    """
    every_example = ex.every_example(run.folder("examples"))
    time = now()
    count = 0
    # In steps, so that people who label meanwhile need not wait for the end.
    while some := {example.id: example for example in islice(every_example, _STEP)}:
        products = _products(some, pr.StoredPredictions(), loaded.folder)
        with store.write() as connection:
            count += importing.products(connection, products, run.id, time)
    return count


def _reused(metrics: Mapping[str, Any], run: str) -> Any:
    """The metrics that a run took from the cache."""
    return next((run_metrics for run_metrics in metrics.values() if run in run_metrics.reused_by), None)


def _rules(loaded: LoadedWorkflow, taxonomy: Taxonomy) -> RuleSet | None:
    if loaded.rules_file is None or not loaded.rules_file.is_file():
        return None
    return load_rules(loaded.rules_file, taxonomy, fields=loaded.workflow.product_columns.texts)


def _labelled(connection: Any, files: PredictionFiles) -> dict[str, str]:
    """Product to category, of the exclusive objective's answers that stand in the store."""
    objective = files.objective(None)
    labels = rows.standing(rows.read(connection, [objective]), multi_label_names(files.kinds))
    return {row.product_id: row.category for row in labels if row.value == "yes" and row.category}


def _suggested(batch: Batch, predicted: pr.StoredPredictions) -> Batch:
    """The batch with suggestions for the items that have none, or fewer than the page can show."""
    items = []
    for item in batch.items:
        top = predicted.top.get(item.product_id, {}).get(batch.objective, ())
        items.append(item if len(item.suggestions) >= min(pr.TOP, len(top)) else replace(item, suggestions=top))
    return replace(batch, items=items)


def _products(
    wanted_examples: Mapping[str, ex.Example], predicted: pr.StoredPredictions, folder: Path
) -> Iterator[Product]:
    for name, example in wanted_examples.items():
        top, scores = predicted.top.get(name, {}), predicted.scores.get(name, {})
        yield _product(
            name, example.fields, folder, rules=example.rules, split=example.split, predictions=top, scores=scores
        )


def _of_feed(loaded: LoadedWorkflow, rules: RuleSet | None, asked: set[str]) -> Iterator[Product]:
    """These products; the feed is read no further than to the last of them."""
    from pipeline.products import read_products

    engine = RuleEngine(rules) if rules is not None else None
    left = set(asked)
    for product in read_products(loaded):
        if product.id in left:
            left.discard(product.id)
            fired = engine.fire_ids(product.text) if engine is not None else ()
            yield _product(product.id, product.text, loaded.folder, rules=fired)
            if not left:
                return


def _product(name: str, texts: Mapping[str, str], folder: Path, **more: Any) -> Product:
    """A product; ``folder``: what the path of its picture is relative to, unless it is an address."""
    fields = dict(texts)
    image = fields.pop("image", None)
    return Product(name, fields, image, None if image is None or "://" in image else str(folder), **more)
