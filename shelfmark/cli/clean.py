"""``shelfmark clean``."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfmark.cli.options import SetOption, WorkflowOption, console, load


def clean(
    workflow: WorkflowOption = None,
    keep_runs: Annotated[
        int | None, typer.Option("--keep-runs", min=1, metavar="N", help="Keep the newest N runs.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Keep runs that are younger: 30d, 12h, 8w.")
    ] = None,
    encodings: Annotated[
        bool,
        typer.Option("--encodings", help="Also delete the cache of texts' vectors; the next run encodes them anew."),
    ] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="Also delete all snapshots of feeds' sources but the last ones.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and delete nothing.")] = False,
    overrides: SetOption = None,
) -> None:
    """Delete artifacts of older runs; the last blessed model and what newer runs use stay."""
    from modules.errors import InputError, Problem
    from modules.settings.retention import RetentionSettings
    from pipeline.clean import clean_encodings, clean_folder, clean_sources
    from pipeline.run_folder import RunFolder

    loaded = load(workflow, overrides)
    wanted = loaded.workflow.runners.local.retention
    if keep_runs is not None or older_than is not None:
        wanted = RetentionSettings.given(keep_runs, older_than)
    if wanted is None and not encodings and not sources:
        hint = (
            "give --keep-runs N, --older-than AGE, --encodings or --sources, or set runners.local.retention in the "
            "workflow file"
        )
        raise InputError(Problem("", "nothing says which runs to keep", hint=hint))
    with RunFolder.of(loaded.workflow).locked() as _:
        if wanted is not None:
            clean_folder(loaded, wanted, console(), dry_run=dry_run)
        if encodings:
            clean_encodings(loaded, console(), dry_run=dry_run)
        if sources:
            clean_sources(loaded, console(), dry_run=dry_run)
