"""``shelfmark label status``."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, open_store
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, console

if TYPE_CHECKING:
    from labelling.store import Store


NUMERIC = (
    "rows", "products", "open", "done", "today", "per hour", "kappa", "alpha", "same", "answers", "beside people's",
    "cost", "cost per agreed",
)  # fmt: skip
"""Columns that stand to the right."""


def status(
    store: StoreOption = None, workflow: WorkflowOption = None, overrides: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show labels, queues, annotators, classifiers that suggest labels, and how far they agree."""
    with open_store(store, workflow, overrides) as opened:
        gathered = gather(opened)
        if as_json:
            typer.echo(json.dumps(gathered, ensure_ascii=False, indent=2))
        else:
            show(opened.name, gathered)


def gather(store: Store) -> dict[str, Any]:
    """Everything that the command shows, as plain values."""
    from labelling.store import rows, suggestions
    from labelling.store import status as counted
    from labelling.store.agreement import agreement
    from labelling.store.database import now

    with store.read() as connection:
        tree = counted.newest_taxonomy(connection)

        def path(category: str) -> str:
            return tree[category].text if tree is not None and category in tree else category

        agreed = [agreement(connection, name, kind) for name, kind in counted.kinds(connection).items()]
        people = [counted.work(connection, name, now()) for name, _ in counted.annotators(connection)]
        return {
            "labels": [
                dict(zip(("objective", "source", "value", "rows", "products"), row, strict=True))
                for row in rows.counts(connection)
            ],
            "queues": [
                {"id": q.id, "kind": q.kind, "objective": q.objective, "state": q.state, "open": q.open, "done": q.done}
                for q in counted.queues(connection)
            ],
            "annotators": [
                {"name": name, "rows": count, "today": person.today, "pace_per_hour": person.pace}
                for (name, count), person in zip(counted.annotators(connection), people, strict=True)
            ],
            "agreement": [
                {
                    "objective": agreement.objective,
                    "products": agreement.products,
                    "alpha": number(agreement.alpha),
                    "annotators": [
                        {"name": a.annotator, "products": a.products, "same": number(a.same), "kappa": number(a.kappa)}
                        for a in agreement.annotators
                    ],
                    "categories": [
                        {"category": path(c.category), "products": c.products, "alpha": number(c.alpha)}
                        for c in agreement.categories
                    ],
                }
                for agreement in agreed
                if agreement.products
            ],
            "suggestions": [
                {
                    "name": s.annotator, "objective": s.objective, "answers": s.answers, "products": s.products,
                    "same": rounded(s.same), "lower": rounded(s.lower), "upper": rounded(s.upper),
                    "products_before": s.before, "same_before": rounded(s.same_before), "cost": s.cost,
                    "cost_per_agreed": s.cost_per_agreed,
                }
                for s in suggestions.agreements(connection, counted.kinds(connection))
            ],
        }  # fmt: skip


def number(value: float) -> float | None:
    """None for what is not defined: JSON has no NaN."""
    return None if math.isnan(value) else round(value, 4)


def rounded(value: float | None) -> float | None:
    """To four digits."""
    return None if value is None else round(value, 4)


def show(name: str, gathered: dict[str, Any]) -> None:
    """Prints it for people."""
    from rich.table import Table

    from modules.reporting.console import show as put
    from modules.reporting.console import text

    screen = console()
    put(screen, text(f"label store {name}"))

    def table(*columns: str) -> Table:
        made = Table(box=None, padding=(0, 2, 0, 0))
        for column in columns:
            numeric = column in NUMERIC
            made.add_column(column, justify="right" if numeric else "left")
        return made

    parts = [("labels", table("objective", "source", "value", "rows", "products"),
              [list(row.values()) for row in gathered["labels"]]),
             ("queues", table("batch", "kind", "objective", "state", "open", "done"),
              [list(row.values()) for row in gathered["queues"]]),
             ("annotators", table("annotator", "rows", "today", "per hour"),
              [[a["name"], a["rows"], a["today"], round(a["pace_per_hour"]) if a["pace_per_hour"] else ""]
               for a in gathered["annotators"]])]  # fmt: skip
    for agreement in gathered["agreement"]:
        of_people = f"{counted(agreement['products'], 'product')} of several people"
        heading = f"agreement on {agreement['objective']}: alpha {agreement['alpha']}, {of_people}"
        people = [[a["name"], a["products"], a["same"], a["kappa"]] for a in agreement["annotators"]]
        parts.append((heading, table("annotator", "products", "same", "kappa"), people))
        defined = [category for category in agreement["categories"] if category["alpha"] is not None]
        worst = [[category["category"], category["products"], category["alpha"]] for category in defined[:10]]
        parts.append(("least agreed on", table("category", "products", "alpha"), worst))
    columns = ("name", "objective", "answers", "beside people's", "same", "interval", "cost", "cost per agreed")
    parts.append(("suggestions of other classifiers", table(*columns),
                  [[s["name"], s["objective"], s["answers"], s["products"], s["same"],
                    "" if s["same"] is None else f"{s['lower']:.3f} to {s['upper']:.3f}",
                    *("" if s[key] is None else f"{s[key]:.4g}" for key in ("cost", "cost_per_agreed"))]
                   for s in gathered["suggestions"]]))  # fmt: skip
    for heading, made, lines in parts:
        if not lines:
            continue
        put(screen, text(""))
        put(screen, text(heading))
        for line in lines:
            made.add_row(
                *(text(f"{cell:,}" if isinstance(cell, int) else "" if cell is None else str(cell)) for cell in line)
            )
        put(screen, made)
