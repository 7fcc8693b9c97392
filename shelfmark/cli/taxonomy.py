"""``shelfmark taxonomy``: what has changed in a taxonomy, and carrying labels and rules over to a new one."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modules.counting import counted
from modules.paths import near
from shelfmark.cli.commands import Commands
from shelfmark.cli.label.store import StoreOption, place_of
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, load

if TYPE_CHECKING:
    from labelling.store import Store
    from modules.taxonomy import Taxonomy
    from modules.taxonomy.changes import Change, Comparison
    from pipeline.taxonomy_files import Journal
    from pipeline.workflow_file import LoadedWorkflow

app = Commands(help="Compare taxonomies, and move to a new one.", no_args_is_help=True, rich_markup_mode=None)

OPEN = 3
"""Exit code of ``diff`` where a person has to decide something."""


@app.command("diff")
def diff(
    taxonomies: Annotated[
        list[Path],
        typer.Argument(
            metavar="[OLD] NEW", help="Taxonomy files, in any form; OLD: default the workflow's.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the mapping there, to be edited.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite that file.")] = False,
    as_json: JsonOption = False,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Show what became of each category, what is certain and what is a guess; exit code 3 if something is open."""
    import json

    from modules.errors import InputError, Problem
    from modules.taxonomy import Taxonomy
    from modules.taxonomy.changes import compare
    from modules.taxonomy.mapping import write_mapping

    if len(taxonomies) > 2:
        raise InputError(Problem("", "expected one or two taxonomy files"))
    if output is not None and output.exists() and not force:
        raise InputError(Problem(str(output), "expected no such file yet", hint="--force overwrites it"))
    loaded = load(workflow, overrides) if len(taxonomies) == 1 else None
    old = Taxonomy.load(taxonomies[0]) if loaded is None else _current(loaded)
    comparison = compare(old, Taxonomy.load(taxonomies[-1]))
    if output is not None:
        write_mapping(comparison, output)
    if as_json:
        document = {"same": len(comparison.same), "changes": [_row(change) for change in comparison.changes]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        _show(comparison, output, taxonomies[-1], loaded)
    if comparison.count("open"):
        raise typer.Exit(OPEN)


def _current(loaded: LoadedWorkflow) -> Taxonomy:
    """The workflow's taxonomy.

    Raises:
      InputError: its categories are those of the feed, which a run takes as they are that day.
    """
    from modules.errors import InputError
    from modules.taxonomy import Taxonomy

    if loaded.taxonomy_file is None:
        hint = "write the categories to a file, and name it in place of from_truth"
        raise InputError(loaded.problem("taxonomy.from_truth", "expected a taxonomy in a file", hint=hint))
    return Taxonomy.load(loaded.taxonomy_file)


def _row(change: Change) -> dict[str, Any]:
    return {
        "old": None if change.old is None else {"id": change.old.id, "path": list(change.old.path)},
        "new": [{"id": category.id, "path": list(category.path)} for category in change.new],
        "kind": change.kind, "state": change.state, "why": change.why,
    }  # fmt: skip


def _show(comparison: Comparison, output: Path | None, new: Path, loaded: LoadedWorkflow | None) -> None:
    from modules.errors import visible

    for change in comparison.changes:
        old = "(none)" if change.old is None else change.old.text
        now = "; ".join(category.text for category in change.new) or "?"
        why = f" ({change.why})" if change.why else ""
        typer.echo(visible(f"{change.state:<7} {change.kind:<13} {old} -> {now}{why}"))
    guesses, still_open = comparison.count("guess"), comparison.count("open")
    typer.echo(
        f"{counted(len(comparison.same), 'category')} unchanged, {counted(len(comparison.changes), 'change')}: "
        f"{counted(guesses, 'guess')}, {still_open:,} open"
    )
    if not comparison.changes:
        return
    if output is None:
        typer.echo("next: the same with --output mapping.yaml, which writes the mapping to be looked through")
    else:
        words = ("taxonomy", "migrate", "--to", str(new), "--mapping", str(output))
        migrate_command = shlex.join(["shelfmark", *words]) if loaded is None else loaded.command(*words)
        typer.echo(f"next: look through {near(output)}, then {migrate_command}")


@app.command("migrate")
def migrate(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The new taxonomy, in any form.")],
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="What `taxonomy diff --output` wrote, looked through."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Do it; the old files are kept beside the new ones as .bak.")
    ] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Carry labels, rules and thresholds over to a new taxonomy; without --write, only say what would be."""
    from modules.taxonomy import Taxonomy
    from modules.taxonomy.changes import compare
    from modules.taxonomy.mapping import read_mapping
    from pipeline.taxonomy_files import Journal, alone, stage

    loaded = load(workflow, overrides)
    with alone(loaded):
        if (stopped := Journal.found_in(loaded)) is not None:
            typer.echo("an earlier migration was stopped; it is brought to its end first")
            _finish(loaded, stopped, store)
        current, new = _current(loaded), Taxonomy.load(to)
        comparison = compare(current, new)
        needed = any(change.old is not None for change in comparison.changes)
        moves = read_mapping(mapping if needed else None, comparison, current, new)
        if moves.new == current:
            typer.echo(f"nothing to do: {loaded.path} has this taxonomy already")
            return
        journal = stage(loaded, moves)
        if write:
            journal.write()
            _finish(loaded, journal, store)
            return
        try:
            _tell(loaded, journal, _planned(loaded, journal, store))
        finally:
            journal.discard()
        typer.echo("not done yet: --write does it")


def _opened(loaded: LoadedWorkflow, store: str | None) -> Store | None:
    """The label store; None: there is none yet."""
    from labelling.store import Store

    place = place_of(store, loaded)
    if "://" not in place and not Path(place).exists():
        return None
    return Store(place, create=False)


def _fired(journal: Journal, loaded: LoadedWorkflow) -> Callable[[Any], set[str]] | None:
    """The new categories that the rules put a product into, and those above; None: there are no rules."""
    from modules.rules import load_rules
    from modules.rules.engine import RuleEngine

    file = journal.rules_file or loaded.rules_file
    if file is None:
        return None
    taxonomy = journal.moves.new
    engine = RuleEngine(load_rules(file, taxonomy))

    def fired(fields: Any) -> set[str]:
        ids = {rule.category for rule in engine.fire(fields)}
        return ids | {above.id for category in ids for above in taxonomy.ancestors(category)}

    return fired


def _planned(loaded: LoadedWorkflow, journal: Journal, store: str | None) -> dict[str, int] | None:
    """What would become of the store's labels; None: there is no store."""
    from labelling.store import moving

    opened = _opened(loaded, store)
    if opened is None:
        return None
    with opened, opened.read() as connection:
        return moving.plan(connection, journal.moves, _fired(journal, loaded)).facts


def _finish(loaded: LoadedWorkflow, journal: Journal, store: str | None) -> None:
    """Does what the journal says: the store in one transaction, then the files."""
    from labelling.store import moving
    from labelling.store.database import now

    opened = _opened(loaded, store)
    facts: dict[str, int] | None = None
    copies: list[Path] = []
    if opened is not None:
        with opened:
            with opened.read() as connection:
                is_done = moving.done(connection, journal.identity) is not None
            if not is_done and (copy := opened.copy_beside()) is not None:
                copies.append(copy)
            with opened.write() as connection:
                rules = _fired(journal, loaded)
                facts = dict(moving.carry(connection, journal.moves, journal.identity, now(), rules))
    copies += journal.finish()
    _tell(loaded, journal, facts)
    if copies:
        typer.echo(f"the old files: {', '.join(near(copy) for copy in copies)}")
    typer.echo("the model knows the old categories; the next run trains a new one from the labels carried over")
    if facts is not None and facts["asked"]:
        typer.echo(f"next: {loaded.command('label', 'serve')}, to answer the open ones, then {loaded.run_command}")
    else:
        typer.echo(f"next: {loaded.run_command}")


def _tell(loaded: LoadedWorkflow, journal: Journal, facts: dict[str, int] | None) -> None:
    moves = journal.moves
    changed = sum(not moves.unchanged(category.id) for category in moves.old)
    typer.echo(f"{counted(len(moves.new), 'category')}; with another id than before: {changed:,}")
    for new in journal.files:
        typer.echo(f"changes: {near(new.target)} ({new.note})")
    for objective in loaded.workflow.objectives.values():
        for file in objective.label_sources.files:
            typer.echo(f"note: {file} stays as it is; export it anew with the new categories")
    if facts is None:
        typer.echo("there is no label store yet")
        return
    total = sum(facts[state] for state in ("same", "moved", "open", "dropped"))
    typer.echo(
        f"{counted(total, 'label')} in the store: {facts['same']:,} as they are, {facts['moved']:,} carried over "
        f"({facts['by_rule']:,} of a split category by a rule), {facts['open']:,} open, {facts['dropped']:,} dropped"
    )
    if facts["asked"]:
        first = ("product with an open label comes first", "products with open labels come first")
        typer.echo(f"{counted(facts['asked'], *first)} in the queue, after what is queued already")
    if facts["none_of_these"]:
        said = counted(facts["none_of_these"], "label says", "labels say")
        typer.echo(f"note: {said} 'none of these', and was given before there were the new categories")
