"""``shelfmark similar full-text`` and ``elasticsearch``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import SetOption, WorkflowOption
from shelfmark.cli.similar.source import IndexOption, folders_of

if TYPE_CHECKING:
    from modules.similarity.items import Items


class Way(StrEnum):
    """What a full-text search looks for."""

    TITLE = "title"
    TOKENS = "tokens"
    TOKENS_AND_TITLE = "tokens_and_title"


class Engine(StrEnum):
    """Whose files to write."""

    ELASTICSEARCH = "elasticsearch"
    OPENSEARCH = "opensearch"


OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="New folder to write to.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="METHOD", help="Whose embedding becomes tokens; default: the first.")
]


def full_text(
    output: OutputOption,
    ways: Annotated[
        list[Way] | None, typer.Option("--way", help="May be given again.", show_default="title and tokens")
    ] = None,
    by: ByOption = None,
    index: IndexOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Copy a run's indexes, with full-text search of titles and tokens beside them, to a folder for --index."""
    source, model, items = _items(by, index, workflow, overrides)
    from modules.similarity.full_text.make import WAYS, write_full_text

    chosen = {way.value: WAYS[way.value] for way in ways or (Way.TITLE, Way.TOKENS)}
    write_full_text(items, output, chosen, source, model)
    typer.echo(f"{output}: {counted(len(items), 'product')} by {', '.join(chosen)}")


def elasticsearch(
    output: OutputOption,
    engine: Annotated[Engine, typer.Option(help="Whose mapping and rescoring to write.")] = Engine.ELASTICSEARCH,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the engine's index.")] = "products",
    way: Annotated[Way, typer.Option(help="What the example query looks for.")] = Way.TOKENS_AND_TITLE,
    vectors: Annotated[bool, typer.Option(help="Write the embedding, too, which re-ranks what was found.")] = True,
    by: ByOption = None,
    index: IndexOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write mapping, bulk files and an example query for Elasticsearch or OpenSearch."""
    *_, items = _items(by, index, workflow, overrides)
    from modules.similarity.full_text.elasticsearch import ExportSettings, export
    from modules.similarity.full_text.make import WAYS

    settings = ExportSettings(engine=engine.value, index=name, vectors=vectors)
    done = export(items, WAYS[way.value], settings, output)
    files = f"{counted(len(done.bulk), 'bulk file')}, {done.mapping.name}, {done.query.name}"
    typer.echo(f"{output}: {counted(done.products, 'product')} in {files}")


def _items(
    by: str | None, index: Path | None, workflow: Path | None, overrides: list[str] | None
) -> tuple[Path | None, Path | None, Items]:
    """The folder of indexes by method (None: it is one index alone), their model's, and the named one's products."""
    from modules.errors import InputError, Problem
    from modules.similarity.catalogue import Catalogue
    from modules.similarity.folder import MANIFEST
    from modules.similarity.full_text.make import living
    from modules.similarity.loading import rows_of

    folder, model = folders_of(index, workflow, overrides)
    catalogue = Catalogue.open(folder)
    method = catalogue.method(by)
    rows = rows_of(catalogue.indexes[method])
    if not rows.base.dimension:
        raise InputError(Problem("--by", "a method with an embedding", value=method))
    return None if (folder / MANIFEST).is_file() else folder, model, living(rows)
