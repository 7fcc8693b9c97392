"""``shelfmark experiment similarity``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfmark.cli.options import FeedOption, SetOption, WorkflowArgument, console, load

if TYPE_CHECKING:
    from modules.similarity_quality.embeddings import Embedded
    from pipeline.workflow_file import LoadedWorkflow

PAGE_FILE, RESULTS_FILE = "similarity.html", "similarity.json"


def similarity(
    workflow: WorkflowArgument = None,
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
        typer.Option(
            "--column", metavar="NAME", help="embedding, embedding_text or embedding_image.", show_default="all"
        ),
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
    from modules.similarity_quality.triplets import agreed, line_of, read_triplets

    loaded = load(workflow, overrides, feed, products=workflow is not None or not embeddings)
    ranked = agreed(read_triplets(triplets)) if triplets else []
    wanted = runs or ([] if embeddings else ["latest"])
    said = console()

    import orjson

    from modules.reporting.page import write_page
    from modules.reporting.similarity import interval_text, sections, write_similarity
    from modules.similarity_quality.compare import compare, questions
    from pipeline.run_folder import RunFolder
    from pipeline.similarity_labels import read_similarity_labels

    found = [one for run in wanted for one in _of_run(loaded, run, columns or (), len(wanted) > 1)]
    found += [one for text in embeddings or () for one in _of_path(text, columns or ())]
    labels = None
    if workflow is not None or wanted or cluster or link:
        labels = read_similarity_labels(loaded, cluster, link)
    comparison = compare(found, labels, ranked, top, seed)
    folder = output or RunFolder.of(loaded.workflow).path / "experiments" / "similarity"
    folder.mkdir(parents=True, exist_ok=True)
    facts = [f"{len(ranked):,} triplets that annotators rank alike."] if triplets else []
    write_similarity(comparison, folder / PAGE_FILE, "How good neighbours are", facts)
    write_page(folder / RESULTS_FILE, orjson.dumps(comparison.document(), option=orjson.OPT_INDENT_2).decode() + "\n")
    for section in sections(comparison):
        said.print(f"{section.title}, {section.caption}")
        for row in section.rows:
            said.print(f"  {row.figure:<22} {interval_text(row.value):<24} {row.embedding}", soft_wrap=True)
    for one, quality in zip(comparison.embedded, comparison.triplets, strict=False):
        precision, score = interval_text(quality.precision), interval_text(quality.score, 0)
        said.print(f"Triplets, {quality.triplets:,}: {one.name}", soft_wrap=True)
        said.print(f"  similarity precision {precision}, score at top {quality.top} {score}", soft_wrap=True)
    if sample is not None:
        drawn = questions(comparison, count, seed)
        write_page(sample, b"".join(map(line_of, drawn)).decode())
        said.print(f"{sample}: {len(drawn):,} triplets; `shelfmark label import-triplets` queues them", soft_wrap=True)
    said.print(f"page: {folder / PAGE_FILE}", soft_wrap=True)


def _of_run(loaded: LoadedWorkflow, run: str, columns: Any, several: bool) -> list[Embedded]:
    from modules.similarity_quality.embeddings import read_embeddings
    from pipeline.runs import Runs

    found = Runs.of(loaded).find(run, "predictions")
    return read_embeddings(found.folder("predictions"), found.id if several else loaded.workflow.name, columns)


def _of_path(text: str, columns: Any) -> list[Embedded]:
    from modules.similarity_quality.embeddings import read_embeddings

    name, equals, path = text.partition("=")
    return read_embeddings(path if equals else text, name if equals else "", columns)
