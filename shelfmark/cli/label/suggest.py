"""``shelfmark label suggest``: another classifier's answers, beside people's."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, open_store
from shelfmark.cli.options import SetOption, WorkflowOption

if TYPE_CHECKING:
    from labelling.store import Store
    from labelling.store.suggestions import Agreement
    from labelling.suggesting.asking import Outcome


class Products(StrEnum):
    """Which products are asked about."""

    batch = "batch"
    labelled = "labelled"
    all = "all"


def suggest(
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="The classifier's name: whose its answers are.")],
    command: Annotated[
        str | None,
        typer.Option(
            "--command", metavar="PROGRAM", help="A program with its arguments; it reads and writes JSON Lines."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="An address that JSON Lines are posted to; its token comes from $SHELFMARK_SUGGEST_TOKEN.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Its answers, as CSV, TSV or JSON Lines.")
    ] = None,
    products: Annotated[
        Products,
        typer.Option("--products", help="Those of open batches, those that people have labelled, or all in the store."),
    ] = Products.batch,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Products at most.")] = None,
    chunk: Annotated[int, typer.Option("--chunk", min=1, max=500, metavar="N", help="Products per request.")] = 20,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=3600.0, metavar="SECONDS", help="What one request may take.")
    ] = 300.0,
    cost_per_product: Annotated[
        float | None,
        typer.Option("--cost-per-product", min=0.0, metavar="COST", help="Added to what the answers say they cost."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option("--objective", metavar="NAME", help="Default: the first with one category per product."),
    ] = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Ask a language model or another classifier about products: suggestions beside people's labels, never in their
    place."""
    from labelling.suggesting.address import Address
    from labelling.suggesting.asking import Task, ask, take_file
    from labelling.suggesting.command import Command
    from modules.errors import InputError, Problem

    if sum(way is not None for way in (command, url, file)) != 1:
        raise InputError(Problem("", "expected one of --command PROGRAM, --url URL and --file FILE"))
    task = Task(by, objective, products.value, limit, chunk, cost_per_product)
    with open_store(store, workflow, overrides) as opened:
        if file is not None:
            outcome = take_file(opened, task, file, _tell)
        else:
            answerer = Command(command, timeout) if command is not None else Address(url or "", timeout)
            outcome = ask(opened, task, answerer, _tell)
        _say(opened, by, outcome)


def _tell(done: int, total: int) -> None:
    typer.echo(f"{done:,} of {counted(total, 'product')}", err=True)


def _say(store: Store, annotator: str, outcome: Outcome) -> None:
    """What came of it, and how far the classifier agrees with people so far."""
    from labelling.store import status, suggestions

    for problem in outcome.refused:
        typer.echo(f"refused: {problem}", err=True)
    left = (
        (outcome.unanswered, "product without an answer", "products without an answer"),
        (len(outcome.refused), "line refused", "lines refused"),
        (outcome.strangers, "line about another product left out", "lines about other products left out"),
    )
    out = "".join(f", {counted(count, *nouns)}" for count, *nouns in left if count)
    cost = f", cost {outcome.cost:,.6g}" if outcome.cost is not None else ""
    if not outcome.asked:
        out = f": every product of this kind has its answer{out}"
    typer.echo(f"{counted(outcome.answered, 'suggestion')} of {annotator} added to {store.name}{out}{cost}")
    with store.read() as connection:
        kinds = status.kinds(connection)
        for measured in suggestions.agreements(connection, kinds):
            if measured.annotator == annotator:
                typer.echo(sentence(measured))


def sentence(measured: Agreement) -> str:
    """A classifier's agreement with people, in words."""
    if measured.same is None:
        return f"{measured.objective}: nothing that {measured.annotator} answered is labelled by people yet"
    text = (
        f"{measured.objective}: {measured.annotator} says what people say of {measured.same:.1%} "
        f"({measured.lower:.1%} to {measured.upper:.1%}) of {counted(measured.products, 'product')}"
    )
    if measured.same_before is not None and measured.before < measured.products:
        text += f", {measured.same_before:.1%} of the {measured.before:,} that were labelled before it answered"
    if measured.cost_per_agreed is not None:
        text += f"; cost {measured.cost_per_agreed:,.4g} per answer that people would give"
    return text
