"""``shelfmark why``: what spoke for a product's category."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, console, load, refuse_workflow
from shelfmark.cli.predict import reading_progress

if TYPE_CHECKING:
    from rich.console import Console

    from modules.predictions.evidence import Reasons
    from pipeline.why import Explained


def why(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="A product's id.", show_default=False)],
    category: Annotated[
        str | None,
        typer.Option(
            "--category",
            metavar="CATEGORY",
            help="Why not this one (its path or id); of several categories per product: what speaks for this one.",
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", metavar="NAME", help="Only this objective; default: all.")
    ] = None,
    as_json: JsonOption = False,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Show which words and attributes of a product spoke for its category."""
    refuse_workflow(product, "PRODUCT", "a product's id", "shelfmark why PRODUCT")
    loaded = load(workflow, overrides)
    with reading_progress():
        from pipeline.why import explain

        explained = explain(loaded, product, category, objective)
    if as_json:
        typer.echo(json.dumps(explained.values()))
        return
    out = console()
    _show(out, explained)
    if product.isprintable() and loaded.workflow.similarity is not None:
        typer.echo(f"next: {loaded.command('similar', product)}")


def _show(out: Console, explained: Explained) -> None:
    from modules.reporting.console import show, text

    show(out, text(f"{explained.id}  {explained.title or '(no title)'}", limit=300))
    for name, reasons in explained.evidence.reasons.items():
        if not reasons:
            is_untaught = name in explained.model.untaught
            said = "the model had no label to learn from" if is_untaught else "does not have the category"
            show(out, text(f"{name}: {said}"))
        for own in reasons:
            _show_reasons(out, name, own)
    of = "published model" if explained.is_published else "last trained model; none was blessed yet"
    read = "as the run read it" if explained.read_from == "run" else "as the feed has it now, without its picture"
    show(out, text(f"run {explained.run}, {of}; the product {read}"))
    if untried := explained.evidence.untried:
        show(out, text(f"{counted(untried, 'further word')} not tried"))
    if explained.rules:
        show(out, text(f"rules: {', '.join(explained.rules)}"))
    for name, label in explained.labels.items():
        show(out, text(f"label of {name}: {', '.join(label.categories)} ({label.source or 'unknown source'})"))


def _show_reasons(out: Console, objective: str, reasons: Reasons) -> None:
    from rich.table import Table

    from modules.reporting.console import show, text
    from pipeline.why import SHOWN

    parts = [f"{objective}: {reasons.category.text} {reasons.probability:.3f}"]
    if reasons.against is not None:
        parts.append(f"against {reasons.against[0].text} {reasons.against[1]:.3f}")
    elif not reasons.is_assigned:
        parts.append("not assigned")
    if reasons.is_guess:
        parts.append("a guess by the category's name: nobody has labelled a product of it")
    show(out, text(", ".join(parts)))
    largest = reasons.largest(SHOWN)
    if not largest:
        nothing = "no word or attribute changes the score" if reasons.effects else "the model reads nothing of it"
        show(out, text(f"  {nothing}"))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("effect", justify="right")
    for heading in ("left out", "where"):
        table.add_column(heading, overflow="fold")
    for effect in largest:
        part = effect.part
        times = f" ({part.times} times)" if part.times > 1 else ""
        where = ", ".join(part.columns) if part.kind == "word" else f"{part.columns[0]} as a whole"
        table.add_row(f"{effect.effect:+.3f}", text(part.text, limit=60), text(f"{where}{times}"))
    show(out, table)
    if len(reasons.effects) > len(largest):
        show(out, text(f"  {len(reasons.effects) - len(largest)} more with smaller effects or none"))
