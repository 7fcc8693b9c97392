"""``shelfmark serve``: the shop's API."""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfmark.cli.commands import Commands, DefaultCommandGroup
from shelfmark.cli.options import (
    ClientTimeoutOption,
    ConnectionsOption,
    PerAddressOption,
    SetOption,
    WorkflowOption,
    console,
    load,
)

if TYPE_CHECKING:
    from api.classify.reading import Head
    from api.products.table import ProductTable
    from pipeline.workflow_file import LoadedWorkflow

NEIGHBOURS = 10
RUNS = 20
"""Whose metrics are kept for a category's history."""
_EVIDENCE = 1000


class _StartByDefault(DefaultCommandGroup):
    """``shelfmark serve`` is short for ``shelfmark serve start``."""

    default = "start"

    def means_default(self, first: str) -> bool:
        """Options, or the workflow's file."""
        return first.startswith("-") or Path(first).suffix in (".yaml", ".yml")


app = Commands(
    cls=_StartByDefault,
    help="Serve the shop's API: classify products, and ask for products, categories and similar ones.",
    rich_markup_mode=None,
)


@app.command("start")
def start(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; another than loopback needs tokens.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8767,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens", metavar="FILE", help="Of `serve token`; or SHELFMARK_SERVING_TOKEN, a token for everything."
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=0.01, metavar="N", help="Requests a second with one token, at most.")
    ] = 50.0,
    watch: Annotated[
        float, typer.Option("--watch", min=0.0, metavar="SECONDS", help="Look for a newer run so often; 0: never.")
    ] = 5.0,
    connections: ConnectionsOption = None,
    per_address: PerAddressOption = None,
    client_timeout: ClientTimeoutOption = 20.0,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Serve categories of products that are sent, and what the last blessed run says of products and categories."""
    from api.start import ApiOptions, clients_of, engine_of, serve_shop
    from modules.http_server.limits import ConnectionLimits

    options = ApiOptions(
        host=host, port=port, tokens=tokens, rate=rate, poll=watch,
        limits=ConnectionLimits(wait=client_timeout, connections=connections, per_address=per_address),
    )  # fmt: skip
    clients_of(options)
    loaded = load(workflow, overrides)
    _import_tensorflow()
    from api.app import Services
    from api.classify.classifier import Classifier, PushedModels
    from api.classify.reading import ProductReader
    from api.current import Current
    from pipeline.results import published_acceptance
    from pipeline.run_folder import RunFolder, pushed_models
    from shelfmark.cli.similar.source import source_of

    engine = engine_of(source_of(None, None, loaded.path, overrides), options)
    pushed = pushed_models(loaded.workflow) or RunFolder.of(loaded.workflow).pushed
    models = Current(PushedModels(pushed, partial(published_acceptance, loaded)), "no model was blessed yet")
    classifier = Classifier(models, ProductReader(loaded.workflow, _heads(loaded)))
    products = Current(partial(_products, loaded), "no run has published predictions yet")
    serve_shop(Services(engine.metrics, engine, classifier, products), options, typer.echo)


def _import_tensorflow() -> None:
    """Here rather than with the first model, so that what it prints does not stand among the server's lines."""
    from pipeline.quiet import everything_else_to

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with open(os.devnull, "w") as log, everything_else_to(log, console(stderr=True)):
        import tensorflow  # noqa: F401


@app.command("token")
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token it is, for people.")],
    scope: Annotated[list[str], typer.Option("--scope", help="classify, read or similar; may be given again.")],
    tokens: Annotated[Path, typer.Option("--tokens", metavar="FILE", help="The file that the token's hash goes into.")],
) -> None:
    """Make a token, and print it once: the file keeps its hash alone."""
    from api.tokens import add_client

    made = add_client(tokens, name, scope)
    typer.echo(made)
    typer.echo("keep it now: it is shown this once", err=True)
    typer.echo(f"next: {shlex.join(['shelfmark', 'serve', '--tokens', str(tokens)])}", err=True)


def _heads(loaded: LoadedWorkflow) -> list[Head]:
    """Per feed its first records, as far as its files are there."""
    from itertools import islice

    from modules.errors import InputError
    from modules.feeds.plan import head_of

    def head(number: int) -> Iterable[Any]:
        try:
            files = [path for path, source in loaded.feed_files() if source == number]
            return list(islice(head_of(files[0], loaded.workflow.sources[number]), _EVIDENCE)) if files else ()
        except InputError:
            # A server may stand where no feed is: values then mean what they mean alone.
            return ()

    return [partial(head, number) for number in range(len(loaded.workflow.sources))]


def _products(loaded: LoadedWorkflow, version: str | None) -> ProductTable | None:
    """The last blessed run's table, or that of the days after it; None if it is the one of ``version``."""
    from api.products.table import ProductTable
    from modules.predictions.documents import Documents
    from modules.predictions.read import Query
    from modules.predictions.sinks.base import Delivery
    from pipeline.daily_neighbours import neighbours_of
    from pipeline.results import published_predictions, published_version
    from pipeline.runs import PUBLISHED

    newest = published_version(loaded)
    if newest == version:
        return None
    published = published_predictions(loaded)
    index = next(iter(published.neighbours), None)
    number = published.run.outputs[PUBLISHED].id
    delivery = Delivery(published.files, Query(), published.taxonomy)
    with neighbours_of(loaded, published, index, NEIGHBOURS) if index is not None else nullcontext() as near:
        documents = Documents(delivery, published.run.id, published.model, number, neighbours=near)
        return ProductTable(newest, published.run.id, published.taxonomy, documents.batches(), _figures(loaded))


def _figures(loaded: LoadedWorkflow) -> dict[str, list[dict[str, Any]]]:
    """Category id to its figures in the last runs, oldest first."""
    from components.class_metrics.queries import all_metrics, open_store
    from pipeline.run_folder import RunFolder

    store = open_store(RunFolder.of(loaded.workflow).metadata, run_command=loaded.run_command)
    figures: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for metrics in all_metrics(store, loaded.workflow.name)[-RUNS:]:
        for item in metrics.categories:
            own = {"run": metrics.run, "time": metrics.time, "objective": item.objective, "values": item.values}
            figures[item.id].append(own)
    return dict(figures)
