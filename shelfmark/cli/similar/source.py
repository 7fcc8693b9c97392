"""Which index, and which model, a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfmark.cli.options import load

if TYPE_CHECKING:
    from api.similarity.engine import Loaded, Source
    from pipeline.runs import Run

_SAVED = "saved_model.pb"

IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        help="Folder with an index, or with numbered versions of it; default: that of the workflow's newest run.",
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="DIR",
        help="SavedModel that embeds texts and images; default: the run's. Goes with --index.",
    ),
]


def source_of(index: Path | None, model: Path | None, workflow: Path | None, overrides: list[str] | None) -> Source:
    """A function that opens the index that the arguments name, and looks for a newer one at each call."""
    from api.similarity.sources import Broken, FolderSource, state_of
    from modules.errors import InputError, Problem

    if index is not None:
        return FolderSource(index, model)
    if model is not None:
        hint = "give --index, too, or neither: a run's index and model go together"
        raise InputError(Problem("--model", "goes with --index", value=str(model), hint=hint))
    loaded = load(workflow, overrides)
    broken = Broken()

    def newest(version: str | None) -> Loaded | None:
        from api.similarity.embedder import Embedder
        from api.similarity.engine import Loaded
        from modules.similarity.catalogue import Catalogue
        from pipeline.daily_index import INDEX, of_run
        from pipeline.runs import Runs

        run = Runs.of(loaded).find(having=INDEX)
        daily = of_run(loaded, run)
        name = f"{run.id}-{run.outputs[INDEX].id}" + (f"-{daily.name}" if daily is not None else "")
        if name == version:
            return None
        indexes = daily or run.folder(INDEX)
        with broken((name, state_of(indexes))):
            catalogue = Catalogue.open(indexes, run.taxonomy())
            catalogue.version = name
            folder = _model_of(run)
            return Loaded(catalogue, Embedder(folder) if folder is not None else None)

    return newest


def folders_of(index: Path | None, workflow: Path | None, overrides: list[str] | None) -> tuple[Path, Path | None]:
    """The folder with the index or the indexes that the arguments name, and that of their model, if there is one.

    Raises:
      InputError: there is none.
    """
    from modules.errors import InputError, Problem

    if index is None:
        from pipeline.daily_index import INDEX, of_run
        from pipeline.runs import Runs

        loaded = load(workflow, overrides)
        run = Runs.of(loaded).find(having=INDEX)
        return of_run(loaded, run) or run.folder(INDEX), _model_of(run)
    from api.similarity.sources import newest_version, pushed_model

    newest = newest_version(index)
    if newest is None:
        raise InputError(Problem(str(index), "a folder with an index; there is none"))
    return newest, pushed_model(newest)


def _model_of(run: Run) -> Path | None:
    """The SavedModel of a run."""
    folder = run.folder("model") / "Format-Serving" if "model" in run.outputs else None
    return folder if folder is not None and (folder / _SAVED).is_file() else None


def opened(index: Path | None, model: Path | None, workflow: Path | None, overrides: list[str] | None) -> Loaded:
    """Opens the index that the arguments name, once.

    Raises:
      InputError: there is no index, or it is broken.
    """
    source = source_of(index, model, workflow, overrides)(None)
    assert source is not None
    return source
