"""``shelfmark rules``: suggest them, report on them, explain what they did."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.commands import Commands
from shelfmark.cli.options import FeedOption, JsonOption, SetOption, WorkflowOption, load, write_demo_products

if TYPE_CHECKING:
    from modules.rules.report import RulesReport

app = Commands(help="Suggest rules, or see what the rules do.", no_args_is_help=True, rich_markup_mode=None)


@app.command("suggest")
def suggest(
    workflow: WorkflowOption = None,
    taxonomy_file: Annotated[
        Path | None, typer.Option("--taxonomy", metavar="FILE", help="Taxonomy, in place of the workflow's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there; default: the screen.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Write first rules made of the taxonomy's names; those that labels contradict more often than not are left out."""
    from modules.errors import InputError, Problem
    from modules.taxonomy import Taxonomy
    from pipeline.suggested_rules import scored_rules, suggested_rules

    if output is not None and output.exists() and not force:
        raise InputError(Problem(str(output), "expected no such file yet", hint="--force overwrites it"))
    if taxonomy_file is not None:
        suggested = suggested_rules(Taxonomy.load(taxonomy_file))
    else:
        from pipeline.inputs import taxonomy_of

        loaded = load(workflow, overrides, feed, products=True)
        suggested = scored_rules(loaded, taxonomy_of(loaded))
    if output is not None:
        output.write_text(suggested.text, "utf-8")
        typer.echo(f"{output}: {suggested.scored}")
    else:
        sys.stdout.write(suggested.text)


@app.command("report")
def report(
    workflow: WorkflowOption = None,
    objective: Annotated[
        str | None,
        typer.Option("--objective", metavar="NAME", help="Whose labels judge; default: the first exclusive one's."),
    ] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """State the rules' coverage of the feed and, where labels exist, their precision."""
    import json

    from modules.errors import InputError, Problem
    from modules.objectives import kinds_of
    from modules.rules import load_rules
    from pipeline.inputs import taxonomy_of
    from pipeline.judged_rules import judged

    loaded = load(workflow, overrides, feed)
    kinds = kinds_of(loaded.workflow.objectives)
    if objective is not None and objective not in kinds:
        raise InputError(Problem("--objective", f"expected one of: {', '.join(kinds)}", value=objective))
    write_demo_products(loaded)
    taxonomy = taxonomy_of(loaded)
    if loaded.rules_file is None:
        raise InputError(loaded.problem("rules.file", "expected a file: this workflow has no rules"))
    rules = load_rules(loaded.rules_file, taxonomy, fields=loaded.workflow.product_columns.texts)
    result = judged(loaded, taxonomy, rules, objective)
    if as_json:
        parts = {"totals": result.totals(), "rules": result.to_rows(), "pairs": result.pair_rows()}
        typer.echo(json.dumps(parts, ensure_ascii=False, indent=2))
    else:
        _show(result)


def _show(result: RulesReport) -> None:
    judged = f", precision {result.precision:.1%} of {result.judged:,} judged" if result.precision is not None else ""
    read = f"{counted(len(result.rules), 'rule')}, {counted(result.products, 'product')}"
    typer.echo(f"{read}: coverage {result.coverage:.1%}{judged}")
    typer.echo(f"{counted(result.contradicted, 'product')} with rules that contradict each other")
    typer.echo(f"{'products':>8} {'alone':>8} {'judged':>7} {'right':>7}  rule -> category")
    for count in sorted(result.rules, key=lambda count: -count.products):
        right = f"{count.precision:.0%}" if count.precision is not None else ""
        figures = f"{count.products:>8,} {count.alone:>8,} {count.judged:>7,} {right:>7}"
        typer.echo(f"{figures}  {count.rule.id} -> {count.category.text}")
    contradictions = [pair for pair in result.pairs if pair.contradiction]
    for pair in contradictions[:10]:
        typer.echo(f"contradict each other on {counted(pair.products, 'product')}: {pair.first.id}, {pair.second.id}")


@app.command("why")
def why(
    product_id: Annotated[str, typer.Argument(metavar="PRODUCT", help="The product's id.")],
    workflow: WorkflowOption = None,
    category: Annotated[
        str | None, typer.Option("--category", metavar="CATEGORY", help="Only rules for this one and below it.")
    ] = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Say which rules put a product where, and which words made them fire."""
    from modules.errors import InputError, Problem, shorten
    from modules.rules import load_rules
    from modules.rules.engine import RuleEngine
    from pipeline.inputs import taxonomy_of
    from pipeline.products import read_products

    loaded = load(workflow, overrides, feed)
    write_demo_products(loaded)
    if loaded.rules_file is None:
        raise InputError(loaded.problem("rules.file", "expected a file: this workflow has no rules"))
    taxonomy = taxonomy_of(loaded)
    engine = RuleEngine(load_rules(loaded.rules_file, taxonomy, fields=loaded.workflow.product_columns.texts))
    asked = taxonomy.find(category) if category is not None else None
    product = next((product for product in read_products(loaded) if product.id == product_id), None)
    if product is None:
        raise InputError(Problem("PRODUCT", "expected the id of a product in the feed", value=product_id))
    typer.echo(shorten(product.text.get("title") or "(no title)", 200))
    categories = [asked] if asked is not None else [taxonomy[rule.category] for rule in engine.fire(product.text)]
    matches_by_rule = {
        matched.rule: matched for wanted in categories for matched in engine.explain(product.text, wanted)
    }
    for matched in matches_by_rule.values():
        typer.echo(f"{matched.rule} -> {taxonomy.path_text(matched.category)}")
        for match in matched.matches:
            typer.echo(f"  {match.field} {match.operator} {match.value!r}: {shorten(match.text)!r}")
    if not matches_by_rule:
        typer.echo("no rule reaches this product" + (f" for {taxonomy.path_text(asked)}" if asked else ""))
