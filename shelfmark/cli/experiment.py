"""``shelfmark experiment``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfmark.cli import experiment_recipe, similarity_experiment
from shelfmark.cli.commands import Commands
from shelfmark.cli.experiment_recipe import JobsOption
from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, load

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

app = Commands(
    help="Compare strategies and models by playing the labelling, and embeddings by their neighbours.",
    no_args_is_help=True,
)
app.command("run")(experiment_recipe.run_recipe)
app.command("similarity")(similarity_experiment.similarity)


@app.command("label-efficiency")
def label_efficiency(
    workflow: WorkflowOption = None,
    feed: FeedOption = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="NAME", help="May be given again.", show_default="default and random"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="KIND", help="A kind of model, such as linear or deep; default: the workflow's."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many runs of each strategy.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 1,
    budget: Annotated[int, typer.Option(min=1, help="Labels in all.")] = 600,
    batch: Annotated[int, typer.Option(min=1, help="Labels per round.")] = 50,
    minimum: Annotated[int, typer.Option(min=1, help="Products of distinct titles that a category needs.")] = 10,
    held_out: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the products to measure on.")] = 0.2,
    held_out_seed: Annotated[int | None, typer.Option(help="Draws them; default: each seed draws its own.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", metavar="FIGURE=VALUE", help="accuracy or macro_f1, as in accuracy=0.9: labels needed for it."
        ),
    ] = None,
    stop_at_target: Annotated[
        bool, typer.Option("--stop-at-target", help="End a run when it has reached all.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Default: in the workflow's run folder.")
    ] = None,
    jobs: JobsOption = None,
    overrides: SetOption = None,
) -> None:
    """How many labels a strategy needs. Stopped, it goes on where it was when started again."""
    from experiments.arms import simulated
    from experiments.results import describe, digest
    from modules.query_strategies import strategy
    from modules.settings.recipe import ArmSettings, Recipe
    from pipeline.run_folder import RunFolder

    names = tuple(dict.fromkeys(strategies or ("default", "random")))
    for name in names:
        strategy(name)
    targets = _targets(target or [])
    loaded = load(workflow, overrides, feed, products=True)
    base = loaded.workflow if model is None else _with_model(loaded.workflow, model)
    recipe = Recipe(
        description="label efficiency", arms={name: ArmSettings(strategy=name) for name in names}, seeds=seeds,
        first_seed=first_seed, budget=budget, batch=min(batch, budget), first_batch="strategy", held_out=held_out,
        held_out_seed=held_out_seed, minimum=minimum, targets=targets, stop_at_target=stop_at_target,
        baseline="random" if "random" in names else None,
    )  # fmt: skip
    alone = replace(loaded, workflow=simulated(base))
    experiment = experiment_recipe.experiment_of("Label efficiency", recipe, dict.fromkeys(names, alone))
    run_folder = RunFolder.of(base).path / "experiments"
    folder = output or run_folder / f"label-efficiency-{digest(describe(experiment))}"
    experiment_recipe.play(experiment, folder, jobs)


def _with_model(workflow: Workflow, kind: str) -> Workflow:
    """The workflow with another kind of model; the solver stays where it can train it.

    Raises:
      InputError: there is no such kind, or it does not go with the other settings.
    """
    from dataclasses import replace

    from modules.errors import InputError, Problem
    from modules.models import KINDS
    from modules.settings.tuning import with_values
    from modules.training.methods import WAYS

    kinds = {str(known.model_fields["kind"].default): known for known in KINDS}
    if kind not in kinds:
        raise InputError(Problem("--model", f"expected one of: {', '.join(kinds)}", key="model.kind", value=kind))
    able = [way for way in WAYS if way.trains(kinds[kind])]
    way = type(workflow.training) if type(workflow.training) in able else able[0]
    values = {"model.kind": kind, "training.solver": way.model_fields["solver"].default}
    changed = with_values(workflow, values)
    if problems := [replace(problem, file="--model") for problem in changed.check(changed)]:
        raise InputError(problems)
    return changed


def _targets(given: list[str]) -> dict[str, float]:
    from modules.errors import InputError, Problem

    targets: dict[str, float] = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in ("accuracy", "macro_f1") or not 0.0 < number <= 1.0:
            raise InputError(Problem("--target", "accuracy=VALUE or macro_f1=VALUE, above 0 and at most 1", value=text))
        targets[name] = number
    return targets
