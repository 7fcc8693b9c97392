"""``shelfmark audit``: whether what is accepted without a look is right as often as the workflow asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modules.counting import counted
from modules.errors import visible
from shelfmark.cli.commands import Commands
from shelfmark.cli.label.store import StoreOption, place_of
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, load
from shelfmark.cli.predict import reading_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labelling.store import Store
    from modules.audit.record import Audit
    from pipeline.audit import Auditing, Report
    from pipeline.workflow_file import LoadedWorkflow

FALLEN = 3
"""Exit code."""
SHOWN = 20
"""Categories and retailers for review that are named; where the whole has fallen these are all of the taxonomy's."""
app = Commands(
    help="Audit what is accepted without a look: draw products, and report on their labels.", rich_markup_mode=None
)


@app.command("draw")
def draw(
    size: Annotated[int, typer.Option("--size", "-n", min=1, max=100_000, metavar="N", help="Products to draw.")] = 200,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Draw products among those accepted since the last audit, and queue them to be labelled."""
    from labelling.store import Store
    from labelling.store.audits import asked_about
    from pipeline.audit import Auditing

    loaded = load(workflow, overrides, products=True)
    auditing = Auditing(loaded)
    is_queued = False
    with auditing.audits.alone(), Store(place_of(store, loaded)) as opened:
        waiting = [audit for audit in auditing.audits.every() if not audit.is_queued]
        for audit in waiting:
            # A kill came between; drawn anew, these products would be in no population.
            _queue(opened, loaded, auditing, audit)
            is_queued = True
        for objective in auditing.asked if not waiting else ():
            with opened.read() as connection:
                known = asked_about(connection, objective)
            with reading_progress():
                audit, population = auditing.draw(objective, size, known)
            if not audit.drawn:
                typer.echo(f"{objective}: no accepted product is left to draw; audits or people know them all")
                continue
            auditing.audits.write(audit, population)
            _queue(opened, loaded, auditing, audit)
            is_queued = True
    if is_queued:
        typer.echo(f"next: {loaded.command('label', 'serve')}, then {loaded.command('audit', 'report')}")
    else:
        typer.echo(f"next, when more is accepted: {loaded.command('audit', 'draw')}")


@app.command("report")
def report(
    as_json: JsonOption = False, store: StoreOption = None, workflow: WorkflowOption = None, overrides: SetOption = None
) -> None:
    """Tell how often the accepted products of the last audit are right; exit code 3 if less often than asked for."""
    import json

    from labelling.store import Store
    from labelling.store.audits import judged
    from modules.errors import InputError, Problem
    from pipeline.audit import Auditing

    loaded = load(workflow, overrides)
    auditing = Auditing(loaded)
    with auditing.audits.alone():
        newest = [audit for audit in map(auditing.newest, auditing.asked) if audit is not None]
        if not newest:
            expected = "expected an audit of the published model; there is none yet"
            raise InputError(Problem("", expected, hint=f"draw one: {loaded.command('audit', 'draw')}"))
        reports = []
        with Store(place_of(store, loaded), create=False) as opened, opened.read() as connection:
            for audit in newest:
                accepted = {row.id: row.category for row in audit.drawn}
                right = judged(connection, accepted, audit.objective, auditing.kind(audit.objective))
                reports.append(auditing.report(audit, right))
    if as_json:
        typer.echo(json.dumps([_document(each) for each in reports], ensure_ascii=False, indent=2))
    else:
        for each in reports:
            _tell(each)
        typer.echo(f"next, {_next(loaded, reports)}")
    if any(each.alarms for each in reports):
        raise typer.Exit(FALLEN)


def _next(loaded: LoadedWorkflow, reports: Sequence[Report]) -> str:
    if any(each.alarms for each in reports):
        return f"publish what is for review by now: {loaded.command('publish', 'TARGET')}"
    if not any(each.judged for each in reports):
        return f"label the products, and report again: {loaded.command('label', 'serve')}"
    return f"the next audit: {loaded.command('audit', 'draw')}"


def _queue(store: Store, loaded: LoadedWorkflow, auditing: Auditing, audit: Audit) -> None:
    """Puts an audit's batch into the store, without what the model says of its products."""
    from labelling.content import Batch, Item
    from modules.labels.model import AUDIT
    from shelfmark.cli.label.gather import bring

    items = [
        Item(rank, row.id, AUDIT, strategy=AUDIT, inclusion_probability=row.inclusion_probability)
        for rank, row in enumerate(audit.drawn)
    ]
    shown = {row.id: {"title": row.title, "retailer": row.retailer} for row in audit.drawn}
    batch = Batch(audit.batch, audit.objective, items, strategy=AUDIT, facts={"population": audit.population})
    imported = bring.bring_alone(store, loaded, [batch], shown=shown)[batch.id]
    auditing.audits.write(audit.model_copy(update={"is_queued": True}))
    typer.echo(
        f"{batch.id}: {counted(imported.added, 'product')} queued in {store.name}, of"
        f" {counted(audit.population, 'product')} that run {audit.run} accepts and no audit knows yet"
    )


def _tell(each: Report) -> None:
    audit, asked = each.audit, each.asked.precision
    typer.echo(f"{audit.batch}: {each.judged:,} of {counted(len(audit.drawn), 'product')} are labelled")
    for row in each.rows:
        if row.judged:
            figures = f"precision {row.value:.1%} ({row.lower:.1%} to {row.upper:.1%}), {row.judged:,} judged"
            typer.echo(f"{'FALLEN  ' if row.has_fallen(asked) else ''}{visible(each.named(row))}: {figures}")
    if each.alarms:
        typer.echo(f"{counted(len(each.alarms), 'figure')} below the precision of {asked:.1%} that was asked for")
    names = each.taken_back()
    if names:
        more = f"; and {len(names) - SHOWN:,} more (--json has all)" if len(names) > SHOWN else ""
        shown = "; ".join(map(visible, names[:SHOWN]))
        typer.echo(f"for review until another audit or a new model: {shown}{more}")


def _document(each: Report) -> dict[str, Any]:
    rows = [
        {
            "kind": row.kind, "name": row.name, "members": list(row.members), "judged": row.judged, "right": row.right,
            "precision": row.value if row.judged else None, "lower": row.lower, "upper": row.upper,
            "fallen": row.has_fallen(each.asked.precision),
        }
        for row in each.rows
    ]  # fmt: skip
    objective = each.audit.objective
    return {
        "batch": each.audit.batch, "objective": objective, "run": each.audit.run, "asked": each.asked.precision,
        "drawn": len(each.audit.drawn), "population": each.audit.population, "judged": each.judged, "figures": rows,
        "withdrawn": {
            "categories": sorted(each.withdrawn.categories.get(objective, ())),
            "retailers": sorted(each.withdrawn.retailers.get(objective, ())),
        },
    }  # fmt: skip
