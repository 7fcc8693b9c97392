"""Similar products of the published predictions: those of a run, or of the days after it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from modules.paths import near
from modules.predictions.daily.files import DailyFiles
from modules.predictions.daily.outdated import OutdatedFiles
from modules.similarity.daily import model_of_version
from modules.similarity.folder import read_manifest
from modules.similarity.neighbour_table import NeighbourTable
from pipeline.daily_index import INDEX, newest_base, nothing, settings_of
from pipeline.results import Published
from pipeline.run_folder import pushed_indexes
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from modules.predictions.documents import Neighbours


@contextmanager
def neighbours_of(loaded: LoadedWorkflow, published: Published, name: str, count: int) -> Iterator[Neighbours]:
    """The ``count`` nearest products of each product, by an index of which the published run has a table.

    Of daily predictions the table is brought up to date where their indexes are in a folder here; where they are not,
    products that are gone are left out of it.

    Raises:
      InputError: a file is damaged, or the last pass ended before the indexes followed it.
    """
    table, files = published.neighbours[name], published.files
    base = _base(loaded, published, files, name) if isinstance(files, DailyFiles) else None
    if base is None or not isinstance(files, DailyFiles):
        with NeighbourTable(table, count, files.there if isinstance(files, DailyFiles) else None) as own:
            yield own
        return
    with _up_to_date(loaded, published, files, base, name, count) as daily:
        yield daily


def _base(loaded: LoadedWorkflow, published: Published, files: DailyFiles, name: str) -> Path | None:
    """The version of the indexes that the daily state compares its products with; None: none was pushed here."""
    folder = pushed_indexes(loaded.workflow)
    newest = newest_base(folder, published.model) if folder is not None and folder.is_dir() else None
    if folder is None or newest is None or not (newest / name).is_dir():
        return None
    known = files.base()
    base = None if known is None else folder / known
    if base is None or not (base / name).is_dir() or model_of_version(base) != published.model:
        expected = "expected similarity indexes of the last pass; it ended before they followed"
        hint = f"the same `{loaded.command('predict')}` goes on where it ended"
        raise InputError(Problem(near(folder), expected, hint=hint))
    return base


@contextmanager
def _up_to_date(
    loaded: LoadedWorkflow, published: Published, files: DailyFiles, base: Path, name: str, count: int
) -> Iterator[Neighbours]:
    from modules.similarity.daily_neighbours import DailyNeighbours
    from modules.similarity.from_predictions import read_items
    from modules.similarity.loading import load_index
    from modules.taxonomy import Taxonomy

    manifest, taxonomy = read_manifest(base / name, verify=False), Taxonomy.load(base / TAXONOMY_FILE)
    similarity = loaded.workflow.similarity
    settings = settings_of(similarity.indexes.get(name) if similarity is not None else None, manifest)
    outdated = files.outdated()
    is_outdated = frozenset(outdated)
    table = _table(published, base, name)
    with tempfile.TemporaryDirectory(prefix="shelfmark-neighbours-") as scratch:
        newer = nothing(manifest)
        if OutdatedFiles.living(files.place):
            flat = settings.model_copy(update={"partition_level": 0})
            vectors = Path(scratch) / "vectors.npy"
            newer = read_items(OutdatedFiles(files.place), taxonomy, flat, manifest.embedding.model, vectors)[0]
        index, level = load_index(base / name), settings.partition_level
        if table is None:
            yield DailyNeighbours(index, newer, outdated, count, taxonomy, level, None)
            return
        with NeighbourTable(table, count, lambda ids: set(ids) - is_outdated) as own:
            yield DailyNeighbours(index, newer, outdated, count, taxonomy, level, own)


def _table(published: Published, base: Path, name: str) -> Path | None:
    """The table of neighbours of the base's products; None: the base is of another run, and came without one."""
    from modules.similarity.make import NEIGHBOURS

    own = base / NEIGHBOURS / f"{name}.parquet"
    if own.is_file():
        return own
    run = published.run.outputs[INDEX].folder / name
    same = read_manifest(run, verify=False).files == read_manifest(base / name, verify=False).files
    return published.neighbours[name] if same else None
