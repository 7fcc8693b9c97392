"""What the command line shows and writes of a run that is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from pipeline.runs import LATEST, Run, Runs
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console

    from modules.predictions.read import PredictionFiles, Query
    from modules.taxonomy import Taxonomy

SHOWN = 20
PUBLISHED = "published_predictions"
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

    from modules.predictions.read import SPLIT
    from modules.reporting.console import show, text

    found, files, _, query = _query(loaded, run, limit or SHOWN, wanted)
    names = [query.objective] if query.objective else list(files.kinds)
    main = files.objective(query.objective)
    score = query.sort or "entropy"
    columns = ["id", "title", "retailer", *(f"{name}/{part}" for name in names for part in ("category", "probability"))]
    columns.append(f"{main}/{score}")
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for heading in ("id", "title", "retailer", SPLIT):
        table.add_column(heading, overflow="ellipsis", no_wrap=heading != "title")
    for name in names:
        table.add_column(name, overflow="fold")
        table.add_column("p", justify="right")
    table.add_column(score.replace("_", " "), justify="right")
    count = 0
    for rows in files.select(query, columns):
        for row in rows.to_pylist():
            cells = [text(row["id"]), text(row["title"], limit=_TITLE), text(row["retailer"], limit=_RETAILER)]
            cells.append(text(row[SPLIT]))
            for name in names:
                cells += [text(row[f"{name}/category"]), text(f"{row[f'{name}/probability']:.3f}")]
            table.add_row(*cells, f"{row[f'{main}/{score}']:.3f}")
            count += 1
    if count:
        show(console, table)
    of = f" of {query.split}" if query.split else ""
    show(console, text(f"run {found.id}: {count:,} shown of {files.products(query.split):,} predictions{of}"))
    return count


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


def _query(
    loaded: LoadedWorkflow, run: str, limit: int | None, wanted: dict[str, Any]
) -> tuple[Run, PredictionFiles, Taxonomy, Query]:
    from modules.predictions.read import PredictionFiles, Query, category_and_below
    from modules.taxonomy import Taxonomy

    key = PUBLISHED if wanted.pop("published", False) else "predictions"
    found = Runs.of(loaded).find(run, key)
    if key == PUBLISHED and not found.outputs[key].properties.get("products"):
        expected = "a run by whose time a model was blessed; none was, so that nothing may be published"
        raise InputError(
            Problem("", expected, key="--published", hint="see evaluation.thresholds, `shelfmark metrics`")
        )
    folder = found.folder(key)
    files = PredictionFiles(folder)
    own = folder / TAXONOMY_FILE
    taxonomy = Taxonomy.load(own) if own.is_file() else found.taxonomy()
    category = wanted.pop("category", None)
    below = category_and_below(taxonomy, category)[1] if category is not None else None
    query = Query(categories=below, limit=limit, **wanted)
    files.objective(query.objective)
    return found, files, taxonomy, query


def write_evaluation(loaded: LoadedWorkflow, run: str, output: Path) -> str:
    """Writes TFMA's own view of a run's evaluation as a page; returns the run's id.

    Raises:
      InputError: there is no such run, or it has no evaluation, or the page cannot be written.
    """
    found = Runs.of(loaded).find(run, "evaluation")
    folder = found.folder("evaluation")
    _writable(output)
    from components.evaluation.page import write_evaluation_page

    write_evaluation_page(str(folder), str(output), f"{loaded.workflow.name}, run {found.id}")
    return found.id


def write_statistics(loaded: LoadedWorkflow, run: str, output: Path) -> str:
    """Writes a run's TFDV statistics as a page; returns the run's id.

    Raises:
      InputError: there is no such run, or it has no statistics, or the page cannot be written.
    """
    from pipeline.statistics_page import subtitle_of, write_statistics_page

    found = Runs.of(loaded).find(run, "statistics")
    folder = found.folder("statistics")
    _writable(output)
    write_statistics_page(
        folder,
        output,
        title=loaded.workflow.name,
        subtitle=subtitle_of(found.id, found.outputs["statistics"].properties),
        anomalies=found.folder("anomalies") if "anomalies" in found.outputs else None,
    )
    return found.id


def _writable(output: Path) -> None:
    folder = output.absolute().parent
    if not folder.is_dir():
        raise InputError(Problem(str(output), "a file in a folder that exists", key="--output"))
    if output.is_dir():
        raise InputError(Problem(str(output), "a file; this is a folder", key="--output"))
