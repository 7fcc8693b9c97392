"""``shelfmark experiment similarity``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, console, load

if TYPE_CHECKING:
    from modules.similarity_quality.compare import EmbeddingComparison
    from modules.similarity_quality.embeddings import Embedded
    from modules.similarity_quality.triplets import Ranked
    from pipeline.workflow_file import LoadedWorkflow

PAGE_FILE, RESULTS_FILE = "similarity.html", "similarity.json"


def similarity(
    workflow: WorkflowOption = None,
    feed: FeedOption = None,
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="RUN", help="A run's predictions; may be given again.", show_default="latest"),
    ] = None,
    embeddings: Annotated[
        list[str] | None,
        typer.Option(
            "--embedding",
            metavar="[NAME=]PATH",
            help="Predictions, a Parquet file, an index' folder, or X.npy with ids in X.txt; may be given again.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="embedding, embedding_text ...", show_default="all"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The feed's column that is the same for the same product.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The feed's column with the product that a photo is of.")
    ] = None,
    triplets: Annotated[
        list[Path] | None,
        typer.Option("--triplets", metavar="FILE", help="People's verdicts, JSON Lines; may be given again."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="K of the triplets' score at top K.")] = 30,
    sample: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write triplets for people to judge, JSON Lines.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of them.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of queries and triplets.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Default: in the workflow's run folder.")
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Compare embeddings by their neighbours: labels that the feed has, and people's verdicts."""
    loaded = load(workflow, overrides, feed, products=workflow is not None or not embeddings)
    ranked = _ranked(triplets or ())
    runs = runs or ([] if embeddings else ["latest"])

    from modules.similarity_quality.compare import compare
    from pipeline.similarity_labels import read_similarity_labels

    compared = _embedded(loaded, runs, embeddings or (), columns or ())
    has_labels = workflow is not None or runs or cluster or link
    labels = read_similarity_labels(loaded, cluster, link) if has_labels else None
    comparison = compare(compared, labels, ranked, top, seed)
    folder = output or _default_folder(loaded)
    _write(comparison, folder, [f"{counted(len(ranked), 'triplet')} that annotators rank alike."] if triplets else [])
    _print(comparison)
    if sample is not None:
        _write_questions(comparison, sample, count, seed)
    console().print(f"page: {folder / PAGE_FILE}", soft_wrap=True)


def _ranked(files: Sequence[Path]) -> Sequence[Ranked]:
    """The triplets that all who judged them rank alike."""
    from modules.similarity_quality.triplets import agreed, read_triplets

    return agreed(read_triplets(files)) if files else ()


def _default_folder(loaded: LoadedWorkflow) -> Path:
    from pipeline.run_folder import RunFolder

    return RunFolder.of(loaded.workflow).path / "experiments" / "similarity"


def _write(comparison: EmbeddingComparison, folder: Path, facts: Sequence[str]) -> None:
    """The page, and the same figures as JSON."""
    import orjson

    from modules.reporting.page import write_page
    from modules.reporting.similarity import write_similarity

    folder.mkdir(parents=True, exist_ok=True)
    write_similarity(comparison, folder / PAGE_FILE, "How good neighbours are", facts)
    write_page(folder / RESULTS_FILE, orjson.dumps(comparison.document(), option=orjson.OPT_INDENT_2).decode() + "\n")


def _print(comparison: EmbeddingComparison) -> None:
    from modules.reporting.similarity import interval_text, sections

    said = console()
    for section in sections(comparison):
        said.print(f"{section.title}, {section.caption}")
        for row in section.rows:
            said.print(f"  {row.figure:<22} {interval_text(row.value):<24} {row.embedding}", soft_wrap=True)
    for embedded, quality in zip(comparison.embedded, comparison.triplets, strict=False):
        precision, score = interval_text(quality.precision), interval_text(quality.score, 0)
        said.print(f"Triplets, {quality.triplets:,}: {embedded.name}", soft_wrap=True)
        said.print(f"  similarity precision {precision}, score at top {quality.top} {score}", soft_wrap=True)


def _write_questions(comparison: EmbeddingComparison, file: Path, count: int, seed: int) -> None:
    """Draws ``count`` triplets for people to judge."""
    from modules.reporting.page import write_page
    from modules.similarity_quality.compare import questions
    from modules.similarity_quality.triplets import line_of

    drawn = questions(comparison, count, seed)
    write_page(file, b"".join(map(line_of, drawn)).decode())
    hint = f"{file}: {counted(len(drawn), 'triplet')}; `shelfmark label import-triplets` queues them"
    console().print(hint, soft_wrap=True)


def _embedded(
    loaded: LoadedWorkflow, runs: Sequence[str], embeddings: Sequence[str], columns: Sequence[str]
) -> list[Embedded]:
    """The embeddings of the runs, then those of the files and folders: ``PATH`` or ``NAME=PATH``."""
    from modules.similarity_quality.embeddings import read_embeddings
    from pipeline.runs import Runs

    compared = []
    for name in runs:
        run = Runs.of(loaded).find(name, "predictions")
        shown = run.id if len(runs) > 1 else loaded.workflow.name
        compared += read_embeddings(run.folder("predictions"), shown, columns)
    for text in embeddings:
        name, equals, path = text.partition("=")
        compared += read_embeddings(path if equals else text, name if equals else "", columns)
    return compared
