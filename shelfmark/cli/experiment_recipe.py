"""``shelfmark experiment run``, and what plays an experiment for it and for ``label-efficiency``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import FeedOption, console, write_demo_products

if TYPE_CHECKING:
    from experiments.arms import Experiment
    from modules.settings.recipe import Recipe
    from modules.settings.workflow import Workflow
    from pipeline.workflow_file import LoadedWorkflow

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, max=1024, help="Processes at a time.", show_default="one per core"),
]


def run_recipe(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML file; see docs/how_to/experiments.md.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where results are written, and looked for.")
    ],
    workflow_file: Annotated[
        Path | None, typer.Option("--workflow", "-w", metavar="FILE", help="In place of the recipe's.")
    ] = None,
    feed: FeedOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, and measure what each arm will cost.")
    ] = False,
    jobs: JobsOption = None,
) -> None:
    """Compare the arms of a recipe. Stopped, it goes on where it was when started again."""
    from pipeline.recipe_file import load_recipe

    loaded = load_recipe(recipe, workflow_file, feed)
    experiment = experiment_of(recipe.stem, loaded.recipe, loaded.arms)
    if dry_run:
        words = [str(recipe), "--output", str(output)]
        words += ["--workflow", str(workflow_file)] if workflow_file is not None else []
        words += ["--feed", str(feed)] if feed is not None else []
        words += ["--jobs", str(jobs)] if jobs is not None else []
        print_estimate(experiment, jobs, shlex.join(["shelfmark", "experiment", "run", *words]), output)
    else:
        play(experiment, output, jobs)


def experiment_of(title: str, recipe: Recipe, arms: Mapping[str, LoadedWorkflow]) -> Experiment:
    """The recipe with its products, read once for all arms whose features read the same columns.

    Args:
      title: of the page.
      recipe: the settings.
      arms: name of each arm to its workflow.

    Raises:
      InputError: an arm cannot be simulated, or the feed cannot be read.
    """
    from experiments.arms import Arm, Experiment, with_rules
    from experiments.catalogue import LabelledCatalogue, catalogue_of, rule_labels
    from modules.errors import InputError, Problem
    from modules.feeds.plan import load_rule_set
    from pipeline.inputs import example_settings, in_memory, taxonomy_of
    from pipeline.products import read_products

    problems: list[Problem] = []
    workflows: dict[str, Workflow] = {}
    for name, loaded in arms.items():
        try:
            workflows[name] = with_rules(in_memory(loaded))
        except InputError as error:
            for problem in error.problems:
                place, line = loaded.place(problem.key)
                problems.append(replace(problem, file=place, line=line, hint=problem.hint or f"of the arm {name}"))
    if problems:
        raise InputError(dict.fromkeys(problems))
    catalogues: dict[str, LabelledCatalogue] = {}
    made = {}
    for name, loaded in arms.items():
        workflow = workflows[name]
        columns = str(workflow.product_columns)
        if columns not in catalogues:
            write_demo_products(loaded)
            described = None if workflow.taxonomy.from_truth else taxonomy_of(loaded)
            catalogues[columns] = catalogue_of(read_products(loaded), minimum=recipe.minimum, described=described)
        rules = None
        if len(workflow.objectives) > 1:
            rule_set = load_rule_set(example_settings(loaded), str(loaded.folder), taxonomy_of(loaded))
            assert rule_set is not None
            rules = rule_labels(catalogues[columns], rule_set)
        made[name] = Arm(recipe.arms[name], workflow, catalogues[columns], rules)
    return Experiment(title, next(iter(workflows.values())).name, recipe, made)


def play(experiment: Experiment, folder: Path, jobs: int | None) -> None:
    """Plays all arms, and prints what each needs."""
    from experiments.campaigns import run
    from experiments.results import PAGE_FILE, RESULTS_FILE
    from experiments.workers import cores
    from modules.reporting.comparison import compare
    from modules.reporting.learning_curves import needed
    from pipeline.quiet import everything_else_to

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    said = console()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a", encoding="utf-8") as log, everything_else_to(log, said):
        page = run(experiment, folder, jobs or cores(), lambda text: said.print(text, soft_wrap=True))
    said.print()
    for row in needed(page.curves, experiment.recipe.targets):
        said.print(f"labels needed for {row.figure} {row.target:g} by {row.strategy}: {row}")
    for compared in compare(page.curves, page.baseline):
        said.print(compared.verdict, soft_wrap=True)
    said.print(f"results: {folder / RESULTS_FILE}", soft_wrap=True)
    said.print(f"page: {folder / PAGE_FILE}", soft_wrap=True)


def print_estimate(experiment: Experiment, jobs: int | None, command: str, folder: Path) -> None:
    """Prints what each arm will cost, and the command that plays them."""
    from rich.table import Table

    from experiments.campaigns import estimate
    from experiments.workers import cores
    from modules.reporting.page import duration_text
    from pipeline.quiet import everything_else_to

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    said, processes = console(), jobs or cores()
    said.print(f"measuring {counted(len(experiment.arms), 'arm')} on "
               f"{counted(len(experiment.products.products), 'product')}")  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a", encoding="utf-8") as log, everything_else_to(log, said):
        rows = estimate(experiment, processes)
    table = Table("arm", "features", "first round", "last round", "rounds per seed", "all seeds", box=None)
    for row in rows:
        times = (duration_text(seconds) for seconds in (row.features, row.first, row.last))
        table.add_row(row.arm, *times, f"{row.rounds:,}", duration_text(row.seconds))
    said.print(table)
    total, runs = sum(row.seconds for row in rows), len(rows) * experiment.recipe.seeds
    said.print(f"{counted(runs, 'run')}: {duration_text(total)} on one core, about "
               f"{duration_text(total / min(processes, runs))} with --jobs {processes}")  # fmt: skip
    said.print(f"next: {command}", soft_wrap=True)
