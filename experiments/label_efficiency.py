"""How many labels a strategy needs: labelling played by the truth, in the modules that the pipeline uses.

    shelfmark experiment label-efficiency workflows/flipkart_20k_few_labels.yaml --feed DIR \
        --strategy default --strategy random --seeds 5 --budget 600 --target accuracy=0.881

Products of distinct titles, categories with at least 10 of them, a fifth held out. Each round a strategy picks a batch
from the rest, the truth labels it, the model is trained anew on all labels so far and measured on what is held out.
Costs some minutes per strategy and seed at 10,000 products on one core; docs/how_to/experiments.md has the figures
it reached.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.catalogue import LabelledCatalogue
from experiments.learners import OBJECTIVE, Learner, learner_of
from experiments.play import Game, SimulatedRound
from modules.arrays import Int64Array
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.query_strategies import strategy
from modules.reporting.learning_curves import FIGURES, Curve, LearningCurves, write_learning_curves
from modules.settings.workflow import Workflow
from modules.training.calibration import Calibration

SETTINGS_FILE = "settings.json"
RESULTS_FILE = "results.parquet"
PAGE_FILE = "learning_curves.html"
ROUNDS_FOLDER = "rounds"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """Everything but the workflow and the products that the results depend on.

    Attributes:
      strategies: names in modules.query_strategies.
      seeds: of the picks, one run each. held_out_seed: draws the held-out products, the same for all seeds; None: each
        seed draws its own.
      budget: labels in all. batch: labels per round. minimum: products of distinct titles that a category needs.
      targets: figure to the value that a run aims at. stop_at_target: a run ends with the first round in which it has
        reached all of them.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: int
    batch: int = 50
    held_out: float = 0.2
    held_out_seed: int | None = 1
    minimum: int = 10
    targets: Mapping[str, float] | None = None
    stop_at_target: bool = False


def run(
    name: str,
    workflow: Workflow,
    catalogue: LabelledCatalogue,
    settings: Settings,
    folder: Path,
    report: Report = lambda text: None,
) -> LearningCurves:
    """Plays every strategy with every seed and writes results and page to ``folder``.

    After each round a checkpoint is written: called again with the same arguments, it goes on where it was stopped, and
    ends with the same results.

    Returns:
      What the page shows.

    Raises:
      InputError: the folder holds an experiment with other settings, or the budget is larger than the pool.
    """
    described = describe(name, workflow, catalogue, settings)
    (folder / ROUNDS_FOLDER).mkdir(parents=True, exist_ok=True)
    _claim(folder, described)
    learner: Learner | None = None
    split: int | None = None
    played = []
    for seed in settings.seeds:
        own = settings.held_out_seed if settings.held_out_seed is not None else seed
        pool, held_out = catalogue.held_out(settings.held_out, own)
        if settings.budget > len(pool):
            raise InputError(
                Problem("--budget", f"at most the pool's {counted(len(pool), 'product')}", value=str(settings.budget))
            )
        for kind in settings.strategies:
            path = folder / ROUNDS_FOLDER / f"{kind}-{seed}.json"
            rounds = read_rounds(path)
            if not finished(rounds, settings):
                if learner is None or split != own:
                    report(f"features of {counted(len(catalogue.products), 'product')}")
                    learner, split = memory_learner(workflow, catalogue, pool), own
                temperature = Calibration.before_eval(workflow.objectives).temperature[OBJECTIVE]
                game = Game(catalogue, learner, pool, held_out, strategy(kind), seed, temperature)
                rounds = _play(game, rounds, settings, path, report)
            played += [(kind, seed, round_) for round_ in rounds]
            _write_results(folder, described, played)
    page = page_of(name, described, played, settings)
    write_learning_curves(page, folder / PAGE_FILE)
    return page


def _play(
    game: Game, rounds: list[SimulatedRound], settings: Settings, path: Path, report: Report
) -> list[SimulatedRound]:
    game.resume(rounds)
    while not finished(rounds, settings):
        if not rounds and game.learner.informed:
            rounds = [game.before_labels()]
        else:
            labels = rounds[-1].labels if rounds else 0
            rounds = [*rounds, game.next_round(min(settings.batch, settings.budget - labels))]
        write_atomically(path, json.dumps([asdict(round_) for round_ in rounds]).encode())
        last = rounds[-1]
        report(
            f"{game.strategy.kind} seed {game.seed}: {counted(last.labels, 'label')}, accuracy {last.accuracy:.3f}, "
            f"macro-F1 {last.macro_f1:.3f}, top-5 {last.top_5_accuracy:.3f}, {last.seconds:.1f} s"
        )
    return rounds


def finished(rounds: Sequence[SimulatedRound], settings: Settings) -> bool:
    """Whether a run has spent its budget, or reached what it was to reach."""
    if not rounds:
        return False
    reached = bool(settings.targets) and all(
        max(getattr(round_, figure) for round_ in rounds) >= target
        for figure, target in (settings.targets or {}).items()
    )
    return rounds[-1].labels >= settings.budget or (settings.stop_at_target and reached)


def read_rounds(path: Path) -> list[SimulatedRound]:
    """The rounds of a checkpoint; none if there is no file."""
    if not path.exists():
        return []
    return [SimulatedRound(**{**row, "picked": tuple(row["picked"])}) for row in json.loads(path.read_bytes())]


def memory_learner(workflow: Workflow, catalogue: LabelledCatalogue, pool: Int64Array) -> Learner:
    """The learner over all products, whose vocabularies and frequencies are those of ``pool``."""
    import tempfile

    from experiments.features import analysed, model_inputs
    from modules.training.category_names import name_inputs
    from modules.training.run import input_sizes

    with tempfile.TemporaryDirectory() as folder:
        graph = analysed([catalogue.products[row] for row in pool], workflow, Path(folder))
        inputs = model_inputs(catalogue.products, workflow, graph)
        sizes = input_sizes(workflow, graph, {OBJECTIVE: catalogue.classes})
        names = name_inputs(workflow, catalogue.taxonomy, graph, sizes.features)
        sizes = dataclasses.replace(sizes, names=names)
    return learner_of(workflow, catalogue, inputs, sizes, pool)


def describe(name: str, workflow: Workflow, catalogue: LabelledCatalogue, settings: Settings) -> dict[str, Any]:
    """All that the results depend on, as JSON; versions of what computes them on top."""
    from importlib.metadata import version

    return {
        "experiment": "label-efficiency",
        "catalogue": name,
        "fingerprint": catalogue.fingerprint(),
        "products": len(catalogue.products),
        "classes": catalogue.classes,
        "settings": json.loads(json.dumps(asdict(settings))),
        "strategies": {name: strategy(name).model_dump(mode="json") for name in settings.strategies},
        "workflow": json.loads(
            workflow.model_dump_json(include={"name", "seed", "features", "objectives", "model", "training"})
        ),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": version("scikit-learn"),
            "tensorflow": version("tensorflow"),
        },
    }


def digest(described: Mapping[str, Any]) -> str:
    """Names an experiment: eight hexadecimal digits of all that its results depend on."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:8]


def simulated(workflow: Workflow) -> Workflow:
    """The workflow with its exclusive objective alone.

    Raises:
      InputError: it has none.
    """
    objective = workflow.objectives.get(OBJECTIVE)
    if objective is None or not objective.single_label:
        raise InputError(Problem(workflow.name, f"an exclusive objective named {OBJECTIVE!r}", key="objectives"))
    return workflow.model_copy(update={"objectives": {OBJECTIVE: objective}})


def _claim(folder: Path, described: Mapping[str, Any]) -> None:
    """Notes the settings in the folder, or checks that they are the ones noted there."""
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_atomically(path, json.dumps(described, indent=1).encode())
        return
    before = json.loads(path.read_bytes())
    other = sorted(key for key in {*before, *described} if before.get(key) != described.get(key))
    if other:
        hint = "name another folder with --output, or delete this one"
        expected = f"an experiment with the same settings; there is one with other {', '.join(other)}"
        raise InputError(Problem(str(path), expected, hint=hint))


def _write_results(
    folder: Path, described: Mapping[str, Any], played: Sequence[tuple[str, int, SimulatedRound]]
) -> None:
    """One row per strategy, seed and round; the exact settings are the table's metadata."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"catalogue": described["catalogue"], "model": described["workflow"]["model"]["kind"],
             "strategy": strategy, "seed": seed, "round": number, **asdict(round_)}
            for strategy, seed in dict.fromkeys((s, n) for s, n, _ in played)
            for number, round_ in enumerate(r for s, n, r in played if (s, n) == (strategy, seed))]  # fmt: skip
    fields = {"catalogue": pa.string(), "model": pa.string(), "strategy": pa.string(), "seed": pa.int64(),
              "round": pa.int32(), "labels": pa.int32(), "accuracy": pa.float64(), "macro_f1": pa.float64(),
              "labelled_classes": pa.int32(), "select_seconds": pa.float64(), "fit_seconds": pa.float64(),
              "picked": pa.list_(pa.string()), "top_5_accuracy": pa.float64()}  # fmt: skip
    table = pa.Table.from_pylist(rows, pa.schema(fields)).replace_schema_metadata({"shelfmark": json.dumps(described)})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    write_atomically(folder / RESULTS_FILE, sink.getvalue())


def write_atomically(path: Path, content: bytes) -> None:
    """A reader, also one after a kill, finds the file as it was or complete."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def page_of(
    name: str, described: Mapping[str, Any], played: Sequence[tuple[str, int, SimulatedRound]], settings: Settings
) -> LearningCurves:
    """The learning curves that the page shows of the rounds."""
    curves = []
    for kind, seed in dict.fromkeys((s, n) for s, n, _ in played):
        rounds = [round_ for s, n, round_ in played if (s, n) == (kind, seed)]
        values = {figure: [getattr(round_, figure) for round_ in rounds] for figure in FIGURES}
        curves.append(Curve(kind, seed, [r.labels for r in rounds], values, [r.seconds for r in rounds]))
    held_out = round(settings.held_out * described["products"])
    facts = [
        f"{counted(described['products'], 'product')} of distinct titles, "
        f"{counted(described['classes'], 'category')} of at least {settings.minimum}; "
        f"{counted(held_out, 'product')} held out",
        f"model {described['workflow']['model']['kind']}, batches of {settings.batch}, "
        f"{counted(len(settings.seeds), 'seed')}; the truth answers in people's place",
    ]
    shown = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in described.items()]
    return LearningCurves(f"Label efficiency on {name}", curves, dict(settings.targets or {}), shown, facts)
