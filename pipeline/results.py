"""What the command line shows and writes of a run that is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.audit.record import Audits
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from modules.paths import near
from modules.predictions.columns import (
    ACCEPTED,
    CATEGORY,
    ENTROPY,
    ID,
    PROBABILITY,
    RETAILER,
    SOURCE,
    SPLIT,
    TITLE,
    objective_column,
)
from modules.predictions.daily.state import LastPass, last_pass
from pipeline.checksums import DamagedArtifact, folder_of
from pipeline.rollback import OF_RUN, SERVING, Rollback, model_of, read_rollback, standing
from pipeline.run_folder import RunFolder
from pipeline.runs import LATEST, PUBLISHED, Run, Runs
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console

    from modules.predictions.acceptance import ModelAcceptance
    from modules.predictions.daily.files import DailyFiles
    from modules.predictions.read import PredictionFiles, Query
    from modules.predictions.withdrawn import Withdrawn
    from modules.taxonomy import Taxonomy

SHOWN = 20
_TITLE, _RETAILER = 60, 30


def show_predictions(
    loaded: LoadedWorkflow, console: Console, *, run: str = LATEST, limit: int | None = None, **wanted: Any
) -> int:
    """Prints a run's predictions as a table.

    Args:
      run: its id, or ``latest``: the newest one with predictions.
      limit: how many rows; default 20.
      wanted: ``split``, ``category`` (path or id; everything below it counts), ``objective``, ``sort``,
        ``min_uncertainty``, as in :class:`modules.predictions.read.Query`; ``published``: those by the last blessed
        model in place of the newest one's.

    Returns:
      The number of rows.

    Raises:
      InputError: there is no such run, category, objective or split.
    """
    from rich.table import Table

    from modules.reporting.console import show, text

    selected_run, files, _, query = _query(loaded, run, limit or SHOWN, wanted)
    names = [query.objective] if query.objective else list(files.kinds)
    main = files.objective(query.objective)
    score = query.sort or ENTROPY
    columns = [ID, TITLE, RETAILER]
    columns += [objective_column(name, part) for name in names for part in (CATEGORY, PROBABILITY)]
    columns.append(objective_column(main, score))
    told = {name: _told(files, name) for name in names}
    columns += [column for own in told.values() for _, column, _ in own]
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for heading in (ID, TITLE, RETAILER, SPLIT):
        table.add_column(heading, overflow="ellipsis", no_wrap=heading != TITLE)
    for name in names:
        table.add_column(name, overflow="fold")
        table.add_column("p", justify="right")
        for heading, _, _ in told[name]:
            table.add_column(heading)
    table.add_column(score.replace("_", " "), justify="right")
    count = 0
    for rows in files.select(query, columns):
        for row in rows.to_pylist():
            cells = [text(row[ID]), text(row[TITLE], limit=_TITLE), text(row[RETAILER], limit=_RETAILER)]
            cells.append(text(row[SPLIT]))
            for name in names:
                category, probability = (row[objective_column(name, part)] for part in (CATEGORY, PROBABILITY))
                cells += [text(category or ""), text("" if probability is None else f"{probability:.3f}")]
                cells += [text(shown(row[column])) for _, column, shown in told[name]]
            table.add_row(*cells, f"{row[objective_column(main, score)]:.3f}")
            count += 1
    if count:
        show(console, table)
    of = f" of {query.split}" if query.split else ""
    show(
        console,
        text(f"run {selected_run.id}: {count:,} shown of {counted(files.products(query.split), 'prediction')}{of}"),
    )
    return count


def _told(files: PredictionFiles, objective: str) -> list[tuple[str, str, Callable[[Any], str]]]:
    """What only some runs say of an objective: heading, column, and how a value is shown."""
    from modules.predictions.documents import ACCEPT, REVIEW

    told: list[tuple[str, str, Callable[[Any], str]]] = []
    if files.guessed.get(objective):
        told.append((SOURCE, objective_column(objective, SOURCE), lambda source: source or ""))
    if (column := objective_column(objective, ACCEPTED)) in files.schema.names:
        told.append(("decision", column, lambda is_accepted: ACCEPT if is_accepted else REVIEW))
    return told


def export_predictions(
    loaded: LoadedWorkflow, output: str, *, run: str = LATEST, limit: int | None = None, **wanted: Any
) -> int:
    """Writes a run's predictions to a file or to another sink; arguments as for :func:`show_predictions`.

    Returns:
      The number of products.

    Raises:
      InputError: as there, or the file cannot be written.
    """
    from modules.predictions.export import export

    _, files, taxonomy, query = _query(loaded, run, limit, wanted)
    return export(files, query, taxonomy, output)


@dataclass(frozen=True)
class Published:
    """The predictions of the last blessed model.

    Attributes:
      run: the newest one that has them, or the one that a rollback went back to.
      model: fingerprint of the model that made them; empty where its folder is gone.
      neighbours: tables of neighbours of the same run, by the names of their indexes.
      rollback: the one that stands. rows: see :meth:`pipeline.rollback.Earlier.missing`.
    """

    run: Run
    files: PredictionFiles
    taxonomy: Taxonomy
    model: str
    neighbours: dict[str, Path]
    rollback: Rollback | None
    rows: str


def published_predictions(loaded: LoadedWorkflow, going_back: Rollback | None = None) -> Published:
    """What may leave the newest run, or what `shelfmark predict` has made of a later feed by the same model.

    Args:
      going_back: look through this rollback, which nothing has noted yet.

    Raises:
      InputError: there is no run, no model was blessed yet, a file is damaged, or the daily predictions are not whole.
    """
    from modules.similarity.make import NEIGHBOURS

    run, rollback = published_run(loaded, going_back)
    files, taxonomy = _files(run, PUBLISHED)
    last = _last_pass(loaded, run, rollback)
    daily = None if last is None else _daily(loaded, last)
    index = "similarity_index"
    tables = sorted((run.folder(index) / NEIGHBOURS).glob("*.parquet")) if index in run.outputs else []
    neighbours = {table.stem: table for table in tables}
    rows = OF_RUN if last is None else repr(last.ended)
    chosen = daily or files
    chosen.withdrawn = _withdrawn(loaded, run)
    return Published(run, chosen, taxonomy, _made_by(run), neighbours, rollback, rows)


def published_version(loaded: LoadedWorkflow) -> str:
    """Another one whenever :func:`published_predictions` are others."""
    run, rollback = published_run(loaded)
    last = _last_pass(loaded, run, rollback)
    parts = [run.id, str(run.outputs[PUBLISHED].id), "" if last is None else str(last.ended)]
    return "-".join(filter(None, [*parts, _withdrawn(loaded, run).version]))


def published_acceptance(loaded: LoadedWorkflow, version: str | None) -> ModelAcceptance | None:
    """What the published predictions are held to; None if that has this version, or nothing is published.

    Raises:
      InputError: the thresholds are gone or damaged.
    """
    from modules.predictions.acceptance import ModelAcceptance, thresholds_in

    try:
        run, _ = published_run(loaded)
    except InputError:
        # A server may stand where models are pushed to, and no run is known.
        return None
    withdrawn = _withdrawn(loaded, run)
    newest = "-".join(filter(None, [str(run.outputs[PUBLISHED].id), withdrawn.version]))
    if newest == version:
        return None
    return ModelAcceptance(newest, _made_by(run), thresholds_in(run.folder(PUBLISHED)), withdrawn)


def _withdrawn(loaded: LoadedWorkflow, run: Run) -> Withdrawn:
    """What audits of the model behind a run's published predictions have taken back."""
    return Audits(RunFolder.of(loaded.workflow).audits).withdrawn(model_of(run.outputs[PUBLISHED]))


def published_run(loaded: LoadedWorkflow, going_back: Rollback | None = None) -> tuple[Run, Rollback | None]:
    """The newest run with published predictions, or the one that a rollback went back to, and that rollback.

    Raises:
      InputError: as :func:`published_predictions`.
    """
    runs = Runs.of(loaded)
    newest = runs.find(having=PUBLISHED)
    rollback = going_back or standing(read_rollback(RunFolder.of(loaded.workflow)), model_of(newest.outputs[PUBLISHED]))
    run = newest if rollback is None else runs.find(rollback.run, PUBLISHED)
    return _blessed(run), rollback


def published_model(loaded: LoadedWorkflow) -> tuple[Run, Path]:
    """The run of :func:`published_run`, and the folder of the model that made its predictions.

    Raises:
      InputError: there is no run, no model was blessed yet, or the model is gone or damaged.
    """
    run, _ = published_run(loaded)
    served = _served(run)
    hint = f"a new run makes another: {loaded.run_command}"
    if served is None or not served.is_dir():
        expected = f"expected the model that run {run.id} has published by; it was cleaned away"
        raise InputError(Problem("" if served is None else near(served.parent), expected, hint=hint))
    damage = run.checksums.damage(served.parent) if run.checksums is not None else None
    if damage is not None:
        raise DamagedArtifact(Problem(near(damage.file), damage.what, hint=hint))
    return run, served


def _served(run: Run) -> Path | None:
    """The folder of the model behind a run's published predictions, which need not be there any longer."""
    model = model_of(run.outputs[PUBLISHED])
    return folder_of(model) / SERVING if model else None


def _made_by(run: Run) -> str:
    """Fingerprint of that model; empty where a retention has deleted it."""
    from modules.similarity.identity import fingerprint

    served = _served(run)
    return fingerprint(served) if served is not None and served.is_dir() else ""


def _query(
    loaded: LoadedWorkflow, run: str, limit: int | None, wanted: dict[str, Any]
) -> tuple[Run, PredictionFiles, Taxonomy, Query]:
    from modules.predictions.read import Query, category_and_below

    key = PUBLISHED if wanted.pop("published", False) else "predictions"
    selected_run, files, taxonomy = _predictions(loaded, run, key)
    category = wanted.pop("category", None)
    below = category_and_below(taxonomy, category)[1] if category is not None else None
    query = Query(categories=below, limit=limit, **wanted)
    files.objective(query.objective)
    return selected_run, files, taxonomy, query


def _blessed(run: Run) -> Run:
    """The run, if it has published a model's predictions."""
    if not run.outputs[PUBLISHED].properties.get("products"):
        expected = "a run by whose time a model was blessed; none was, so that nothing may be published"
        hint = "see evaluation.thresholds, `shelfmark metrics`"
        raise InputError(Problem("", expected, key="published", hint=hint))
    return run


def _predictions(loaded: LoadedWorkflow, run: str, key: str) -> tuple[Run, PredictionFiles, Taxonomy]:
    if (run, key) == (LATEST, PUBLISHED):
        published = published_predictions(loaded)
        return published.run, published.files, published.taxonomy
    selected_run = Runs.of(loaded).find(run, key)
    if key == PUBLISHED:
        _blessed(selected_run)
    return selected_run, *_files(selected_run, key)


def _files(run: Run, key: str) -> tuple[PredictionFiles, Taxonomy]:
    from modules.predictions.read import PredictionFiles
    from modules.taxonomy import Taxonomy

    folder = run.folder(key)
    own = folder / TAXONOMY_FILE
    return PredictionFiles(folder), Taxonomy.load(own) if own.is_file() else run.taxonomy()


def _last_pass(loaded: LoadedWorkflow, run: Run, rollback: Rollback | None) -> LastPass | None:
    """The last pass, if its predictions stand in place of the run's."""
    last = last_pass(RunFolder.of(loaded.workflow).daily)
    if last is None or last.run != run.id or (rollback is not None and not rollback.counts(last)):
        return None
    return last


def _daily(loaded: LoadedWorkflow, last: LastPass) -> DailyFiles:
    from modules.predictions.daily.files import DailyFiles

    place = RunFolder.of(loaded.workflow).daily
    if last.ended is None:
        hint = "the same `shelfmark predict` goes on where it ended"
        raise InputError(Problem(near(place), "expected whole daily predictions; the last pass was cut off", hint=hint))
    return DailyFiles(place)


def write_evaluation(loaded: LoadedWorkflow, run: str, output: Path) -> str:
    """Writes TFMA's own view of a run's evaluation as a page; returns the run's id.

    Raises:
      InputError: there is no such run, or it has no evaluation, or the page cannot be written.
    """
    selected_run = Runs.of(loaded).find(run, "evaluation")
    folder = selected_run.folder("evaluation")
    _writable(output)
    from components.evaluation.page import write_evaluation_page

    write_evaluation_page(str(folder), str(output), f"{loaded.workflow.name}, run {selected_run.id}")
    return selected_run.id


def write_statistics(loaded: LoadedWorkflow, run: str, output: Path) -> str:
    """Writes a run's TFDV statistics as a page; returns the run's id.

    Raises:
      InputError: there is no such run, or it has no statistics, or the page cannot be written.
    """
    from pipeline.statistics_page import subtitle_of, write_statistics_page

    selected_run = Runs.of(loaded).find(run, "statistics")
    folder = selected_run.folder("statistics")
    _writable(output)
    write_statistics_page(
        folder,
        output,
        title=loaded.workflow.name,
        subtitle=subtitle_of(selected_run.id, selected_run.outputs["statistics"].properties),
        anomalies=selected_run.folder("anomalies") if "anomalies" in selected_run.outputs else None,
    )
    return selected_run.id


def _writable(output: Path) -> None:
    folder = output.absolute().parent
    if not folder.is_dir():
        raise InputError(Problem(str(output), "a file in a folder that exists", key="--output"))
    if output.is_dir():
        raise InputError(Problem(str(output), "a file; this is a folder", key="--output"))
