"""``shelfmark label export``, ``import`` and ``snapshot``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, named_store, open_store, place_of
from shelfmark.cli.options import SetOption, WorkflowOption, load

if TYPE_CHECKING:
    from labelling.formats.files import ImportedLabels
    from pipeline.workflow_file import LoadedWorkflow


class Format(StrEnum):
    """Of label files."""

    jsonl = "jsonl"
    csv = "csv"
    label_studio = "label-studio"


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Default: by the name (.jsonl, .csv, .json for Label Studio).")
]


def export(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    kind: FormatOption = None,
    standing: Annotated[bool, typer.Option("--standing", help="Only answers that stand, not the whole log.")] = False,
    full: Annotated[bool, typer.Option("--full", help="With the model's suggestion, seconds and note.")] = False,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only this batch.")] = None,
    interface: Annotated[
        Path | None, typer.Option("--interface", metavar="FILE", help="Label Studio: write the labelling interface.")
    ] = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write the labels as JSON Lines or CSV, or tasks with the model's suggestions for Label Studio."""
    from labelling.formats.files import export_labels, format_of
    from modules.errors import InputError, Problem

    file_format = format_of(output, kind.value if kind else None)
    with open_store(store, workflow, overrides) as opened:
        if interface is not None:
            from labelling.formats.label_studio import configuration
            from labelling.store import status
            from modules.objectives import DEFAULT_KIND, DEFAULT_OBJECTIVE

            with opened.read() as connection:
                tree, kinds = status.newest_taxonomy(connection), status.kinds(connection)
                queues = {queue.id: queue.objective for queue in status.queues(connection)}
            if tree is None:
                raise InputError(Problem(opened.name, "the label store knows no taxonomy yet"))
            objective = queues.get(batch or "", next(iter(kinds), DEFAULT_OBJECTIVE))
            interface.write_text(configuration(tree, kinds.get(objective, DEFAULT_KIND)), "utf-8")
        count = export_labels(opened, output, file_format, full=full, batch=batch, all_rows=not standing)
    typer.echo(f"{output}: {count:,} {'tasks' if file_format == 'label-studio' else 'rows'}")


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSON Lines, CSV or Label Studio's JSON.")],
    kind: FormatOption = None,
    annotators: Annotated[
        list[str] | None,
        typer.Option("--annotator", metavar="USER=NAME", help="Who a Label Studio user is here; may be given again."),
    ] = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Add labels from files: all of them, or none if anything is wrong. Rows that are there already are left out."""
    from labelling.formats.files import import_labels
    from labelling.store import Store
    from labelling.store.database import now
    from modules.errors import InputError, Problem
    from modules.objectives import kinds_of
    from pipeline.inputs import taxonomy_of

    people = {}
    for text in annotators or ():
        user, equals, name = text.partition("=")
        if not (equals and user and name):
            raise InputError(Problem("--annotator", "expected USER=NAME", value=text))
        people[user] = name
    try:
        loaded = load(workflow, overrides)
    except InputError:
        # A store that is named needs no workflow; what it lacks is then not compared with one.
        if workflow is not None or named_store(store) is None:
            raise
        loaded = None
    tree, kinds = None, None
    if loaded is not None:
        tree = taxonomy_of(loaded)
        kinds = kinds_of(loaded.workflow.objectives)
    with Store(place_of(store, loaded)) as opened:
        imported = import_labels(
            opened, files, kind.value if kind else None, taxonomy=tree, objectives=kinds, people=people, now=now()
        )
    known = f", {imported.known:,} were there already" if imported.known else ""
    typer.echo(f"{counted(imported.added, 'row')} added to {opened.name}{known}")
    for note in import_notes(imported, loaded):
        typer.echo(note)


def import_notes(imported: ImportedLabels, loaded: LoadedWorkflow | None) -> list[str]:
    """What else is to be said of an import: sources, defaults, and products that the feed lacks.

    Args:
      imported: what the import did.
      loaded: the workflow that the labels are for; None: nothing says which feed they belong to.
    """
    from modules.errors import InputError
    from modules.labels.model import MODEL
    from pipeline.label_ids import unknown_ids

    notes = list(imported.notes)
    if imported.sources:
        notes.insert(0, f"sources: {', '.join(f'{name} {n:,}' for name, n in sorted(imported.sources.items()))}")
    if imported.sources.get(MODEL):
        notes.append("rows of source model are kept beside people's answers: never measured on, and learnt from only")
        notes[-1] += " where an objective's labels.sources name model"
    if loaded is not None:
        try:
            compared = unknown_ids(loaded, imported.products)
        except InputError:
            compared = None
        if compared is None:
            notes.append("not compared with the feed's products: the run counts labels of products that it lacks")
        elif compared.unknown:
            notes.append(compared.sentence)
    return notes


def snapshot(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where to.")],
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write labels and open queues as files, as a run takes them."""
    from labelling.store.snapshot import write_snapshot

    with open_store(store, workflow, overrides) as opened:
        written = write_snapshot(opened, output)
    models = f", {written.models:,} of them what models said" if written.models else ""
    typer.echo(f"{written.folder}: {counted(written.labels, 'label row')}{models}, {written.queued:,} queued")
